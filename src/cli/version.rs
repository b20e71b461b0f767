//! What `meesh --version` prints.

/// The version of meesh and of what rows pass through.
pub(super) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (datafusion 55.2, arrow 59.3)");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_of_the_lock_file() {
        let lock = include_str!("../../Cargo.lock");
        for name in ["datafusion", "arrow"] {
            let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
            let mut parts = rest.split(['.', '"']);
            let short = format!("{name} {}.{}", parts.next().unwrap(), parts.next().unwrap());
            assert!(VERSION.contains(&short), "{VERSION} does not name {short}");
        }
    }
}
