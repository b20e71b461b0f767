//! Names: quoting, and finding the one that was meant.

/// `name` in double quotes, inner quotes doubled: an SQL identifier whatever it holds.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The candidates that look like a misspelling of `name`, best first, three at most.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by_key(|(_, candidate)| *candidate);
    scored.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        assert_eq!(nearest("amont", ["id", "amount", "name"]), ["amount"]);
        assert!(nearest("zzz", ["id", "amount"]).is_empty());
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(quote_identifier("a\"; drop table x;--"), "\"a\"\"; drop table x;--\"");
    }
}
