//! Texts in statements.

/// A text as an SQL literal, whatever it holds and whatever `standard_conforming_strings` is: with
/// a backslash it is written in the escaping form (`quote_literal` does the same).
///
/// The character U+0000 cannot be in a text of PostgreSQL's; callers keep it out.
pub(crate) fn quote_text(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_quotes() {
        for (text, quoted) in [
            ("plain", "'plain'"),
            ("it's", "'it''s'"),
            ("\"; drop table x;--", "'\"; drop table x;--'"),
            ("'; drop table x;--", "'''; drop table x;--'"),
            (r"\'", r"E'\\'''"),
            (r"\\", r"E'\\\\'"),
            ("$$", "'$$'"),
            ("🦦", "'🦦'"),
        ] {
            assert_eq!(quote_text(text), quoted);
        }
    }
}
