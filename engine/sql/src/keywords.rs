//! Words that cannot be names unless quoted.

/// Trino's reserved words ("Keywords and identifiers" of its manual), sorted.
pub const RESERVED_WORDS: &[&str] = &[
    "ALTER",
    "AND",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CONSTRAINT",
    "CREATE",
    "CROSS",
    "CUBE",
    "CURRENT_CATALOG",
    "CURRENT_DATE",
    "CURRENT_PATH",
    "CURRENT_ROLE",
    "CURRENT_SCHEMA",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "DEALLOCATE",
    "DELETE",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXECUTE",
    "EXISTS",
    "EXTRACT",
    "FALSE",
    "FOR",
    "FROM",
    "FULL",
    "GROUP",
    "GROUPING",
    "HAVING",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "JSON_ARRAY",
    "JSON_EXISTS",
    "JSON_OBJECT",
    "JSON_QUERY",
    "JSON_TABLE",
    "JSON_VALUE",
    "LEFT",
    "LIKE",
    "LISTAGG",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "NATURAL",
    "NORMALIZE",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "PREPARE",
    "RECURSIVE",
    "RIGHT",
    "ROLLUP",
    "SELECT",
    "TABLE",
    "THEN",
    "TRIM",
    "TRUE",
    "UESCAPE",
    "UNION",
    "UNNEST",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Words that may be names, but not an alias without AS: they begin what follows.
const NO_IMPLICIT_ALIAS: &[&str] = &[
    "AT",
    "COLLATE",
    "FETCH",
    "ILIKE",
    "LIMIT",
    "MATCH_RECOGNIZE",
    "OFFSET",
    "QUALIFY",
    "SIMILAR",
    "TABLESAMPLE",
    "WINDOW",
];

/// Whether the word is reserved, whatever its case.
pub(crate) fn is_reserved(word: &str) -> bool {
    contains(RESERVED_WORDS, word)
}

/// Whether the word may be an alias without AS.
pub(crate) fn is_implicit_alias(word: &str) -> bool {
    !is_reserved(word) && !contains(NO_IMPLICIT_ALIAS, word)
}

fn contains(sorted: &[&str], word: &str) -> bool {
    // Longer than any keyword: spares folding a long identifier.
    word.len() <= 17 && sorted.binary_search(&word.to_ascii_uppercase().as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        assert!(RESERVED_WORDS.is_sorted() && NO_IMPLICIT_ALIAS.is_sorted());
        assert!(is_reserved("Select") && !is_reserved("date") && !is_implicit_alias("limit"));
    }
}
