//! Sizes and durations as people and Trino's files write them: `512MB`, `1.5GiB`, `30s`, `2.5m`.

use std::time::Duration;

const BYTE_UNITS: &[(&str, f64)] = &[
    ("b", 1.0),
    ("kb", 1024.0),
    ("kib", 1024.0),
    ("k", 1024.0),
    ("ki", 1024.0),
    ("mb", 1048576.0),
    ("mib", 1048576.0),
    ("m", 1048576.0),
    ("mi", 1048576.0),
    ("gb", 1073741824.0),
    ("gib", 1073741824.0),
    ("g", 1073741824.0),
    ("gi", 1073741824.0),
    ("tb", 1099511627776.0),
    ("tib", 1099511627776.0),
];

const TIME_UNITS: &[(&str, f64)] =
    &[("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];

/// Bytes of a text such as `512MB`; units count in 1024s, as Trino's do. A bare number is bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = if unit.is_empty() { 1.0 } else { factor(BYTE_UNITS, &unit)? };
    Some((number * factor).round() as u64)
}

/// The duration of a text such as `1.5h`. A bare number is seconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let factor = if unit.is_empty() { 1.0 } else { factor(TIME_UNITS, &unit)? };
    Duration::try_from_secs_f64(number * factor).ok()
}

/// Bytes for people: `1.4 GB`.
pub fn format_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TB")
}

/// A duration for people: `850 ms`, `2.31 s`, `3m 04s`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 60.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{}m {:02}s", duration.as_secs() / 60, duration.as_secs() % 60)
    }
}

fn split_unit(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim().to_lowercase()))
}

fn factor(units: &[(&str, f64)], unit: &str) -> Option<f64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        assert_eq!(parse_bytes("512MB"), Some(512 << 20));
        assert_eq!(parse_bytes("1.5GiB"), Some(3 << 29));
        assert_eq!(parse_bytes("12"), Some(12));
        assert_eq!(parse_bytes("12 parsecs"), None);
        assert_eq!(parse_duration("2.5m"), Some(Duration::from_secs(150)));
        assert_eq!(parse_duration("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(parse_duration("-1s"), None);
        assert_eq!(format_bytes(1536), "1.5 kB");
        assert_eq!(format_duration(Duration::from_millis(2310)), "2.31 s");
    }
}
