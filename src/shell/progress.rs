//! The line on standard error that shows how far a query is, from 300 ms on.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use meesh_engine::QueryInfo;

const FIRST_AFTER: Duration = Duration::from_millis(300);
const EVERY: Duration = Duration::from_millis(100);
const ERASE_LINE: &str = "\r\u{1b}[2K";

/// Where the query stands, asked for each line.
pub(crate) type Look = Box<dyn Fn() -> Option<QueryInfo> + Send>;

/// One query's line.
pub(crate) struct ProgressLine {
    is_on: bool,
    is_drawn: bool,
    started: Instant,
    look: Option<Look>,
    rows: usize,
}

impl ProgressLine {
    /// A line for a query that starts now; never drawn where standard error is no terminal.
    pub(crate) fn new() -> Self {
        let is_on = std::io::stderr().is_terminal();
        Self { is_on, is_drawn: false, started: Instant::now(), look: None, rows: 0 }
    }

    /// How long the query has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Tells the line where to look, once the query has a name.
    pub(crate) fn look_at(&mut self, look: Option<Look>) {
        self.look = look;
    }

    /// Counts rows that came; `is_shown` says that they are on the terminal, where no line may be.
    pub(crate) fn add(&mut self, rows: usize, is_shown: bool) {
        self.rows += rows;
        if is_shown {
            self.erase();
            self.is_on = false;
        }
    }

    /// Waits for `work`, drawing the line meanwhile.
    pub(crate) async fn during<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        loop {
            let wait = if self.is_drawn { EVERY } else { FIRST_AFTER.saturating_sub(self.elapsed()).max(EVERY) };
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(wait), if self.is_on => self.draw(),
            }
        }
    }

    /// Takes the line away.
    pub(crate) fn erase(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(std::io::stderr(), "{ERASE_LINE}");
        }
    }

    fn draw(&mut self) {
        if self.elapsed() < FIRST_AFTER {
            return;
        }
        let text = line(self.look.as_ref().and_then(|look| look()).as_ref(), self.rows, self.elapsed());
        let mut stderr = std::io::stderr();
        let _ = write!(stderr, "{ERASE_LINE}{text}");
        let _ = stderr.flush();
        self.is_drawn = true;
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.erase();
    }
}

/// `62%  3.1M rows  410.0 MB  1.2M rows/s  sales 48%  2.6 s`
fn line(info: Option<&QueryInfo>, rows: usize, elapsed: Duration) -> String {
    let Some(info) = info else {
        let received = if rows > 0 { format!("{} rows  ", short_count(rows as u64)) } else { String::new() };
        return format!("{received}{:.1} s", elapsed.as_secs_f64());
    };
    let mut parts = vec![info.state.name().to_lowercase(), format!("{:.0}%", info.progress * 100.0)];
    let read: u64 = info.sources.iter().map(|source| source.rows).sum();
    let bytes: u64 = info.sources.iter().map(|source| source.bytes).sum();
    if read > 0 {
        parts.push(format!("{} rows", short_count(read)));
        parts.push(meesh_base::format_bytes(bytes));
        parts.push(format!("{} rows/s", short_count((read as f64 / elapsed.as_secs_f64()) as u64)));
    }
    for source in &info.sources {
        match source.units_total {
            0 => parts.push(format!("{} {}", source.catalog, short_count(source.rows))),
            total => parts.push(format!("{} {}%", source.catalog, (100 * source.units_done / total).min(100))),
        }
    }
    parts.push(format!("{:.1} s", elapsed.as_secs_f64()));
    parts.join("  ")
}

/// `950`, `3.1K`, `1.2M`, `4.0G`.
fn short_count(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["", "K", "M"] {
        if value < 1000.0 {
            return if unit.is_empty() { count.to_string() } else { format!("{value:.1}{unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1}G")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use meesh_engine::{QueryId, QueryState, SourceInfo};

    use super::*;

    #[test]
    fn counts_are_short() {
        assert_eq!([0, 999, 3100, 1_200_000, 4_000_000_000].map(short_count), ["0", "999", "3.1K", "1.2M", "4.0G"]);
    }

    #[test]
    fn the_line_names_the_sources() {
        let info = QueryInfo {
            id: QueryId::parse("q"),
            user: String::new(),
            source: None,
            text: String::new(),
            state: QueryState::Running,
            created: SystemTime::UNIX_EPOCH,
            started: None,
            ended: None,
            rows: 0,
            bytes: 0,
            progress: 0.62,
            sources: vec![SourceInfo {
                catalog: "sales".into(),
                rows: 3000,
                bytes: 2048,
                units_done: 1,
                units_total: 2,
            }],
            error: None,
            memory_peak_bytes: 0,
        };
        let text = line(Some(&info), 0, Duration::from_secs(2));
        assert_eq!(text, "running  62%  3.0K rows  2.0 kB  1.5K rows/s  sales 50%  2.0 s");
        assert_eq!(line(None, 5, Duration::from_secs(2)), "5 rows  2.0 s");
    }
}
