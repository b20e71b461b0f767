//! Kinds of statements: what each asks for, and the refusals.

use super::check_refused;
use crate::{ExplainFormat, ExplainKind, Literal, Statement, parse};

fn debug(sql: &str) -> String {
    format!("{:?}", parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")))
}

#[test]
fn show_and_describe() {
    for (sql, expected) in [
        ("SHOW CATALOGS", "ShowCatalogs { like: None }"),
        ("show catalogs like 'a\\b%'", "ShowCatalogs { like: Some(\"a\\\\\\\\b%\") }"),
        (
            "SHOW SCHEMAS FROM Sales LIKE 'p#_%' ESCAPE '#';",
            "ShowSchemas { catalog: Some(\"sales\"), like: Some(\"p\\\\_%\") }",
        ),
        ("SHOW TABLES", "ShowTables { schema: None, like: None }"),
        ("SHOW TABLES IN sales.\"Public\"", "ShowTables { schema: Some((Some(\"sales\"), \"public\")), like: None }"),
        ("SHOW SESSION LIKE 'q%'", "ShowSession { like: Some(\"q%\") }"),
        ("SHOW FUNCTIONS", "ShowFunctions { like: None }"),
    ] {
        assert_eq!(debug(sql), expected, "{sql}");
    }
    for sql in ["DESCRIBE Sales.public.Orders", "desc Sales.public.Orders", "SHOW COLUMNS FROM sales.public.orders"] {
        let Statement::ShowColumns { table, like: None } = parse(sql).unwrap() else { panic!("{sql}") };
        assert_eq!(table.to_string(), "sales.public.orders");
    }
    let Statement::ShowCreateTable { table } = parse("SHOW CREATE TABLE t").unwrap() else { panic!() };
    assert_eq!(table.position.map(|p| p.column), Some(19));
}

#[test]
fn session_statements() {
    for (sql, expected) in [
        ("USE Sales.Public", "Use { catalog: Some(\"sales\"), schema: \"public\" }"),
        ("USE public", "Use { catalog: None, schema: \"public\" }"),
        (
            "SET SESSION query_max_run_time = '20s'",
            "SetSession { name: \"query_max_run_time\", value: String(\"20s\") }",
        ),
        ("SET SESSION sales.batch = -1_000", "SetSession { name: \"sales.batch\", value: Number(\"-1000\") }"),
        ("RESET SESSION sales.batch", "ResetSession { name: \"sales.batch\" }"),
        ("SET TIME ZONE 'Europe/Paris'", "SetTimeZone { zone: Some(\"Europe/Paris\") }"),
        ("SET TIME ZONE LOCAL", "SetTimeZone { zone: None }"),
        ("KILL QUERY '2026_1'", "KillQuery { id: \"2026_1\" }"),
    ] {
        assert_eq!(debug(sql), expected, "{sql}");
    }
    let sql = "CALL system.runtime.kill_query(query_id => 'x',message => 'it''s', n => NULL, b => true)";
    let Statement::Call { procedure, arguments } = parse(sql).unwrap() else { panic!() };
    assert_eq!(procedure, ["system", "runtime", "kill_query"]);
    assert_eq!(arguments[1], (Some("message".to_owned()), Literal::String("it's".to_owned())));
    assert_eq!(arguments[3].1, Literal::Boolean(true));
}

#[test]
fn explain() {
    let sql = "EXPLAIN (TYPE IO, FORMAT JSON) SELECT 1";
    let Statement::Explain { analyze: false, kind, format, statement, .. } = parse(sql).unwrap() else { panic!() };
    assert_eq!((kind, format), (ExplainKind::Io, ExplainFormat::Json));
    assert!(matches!(*statement, Statement::Query(_)));
    assert!(matches!(
        parse("EXPLAIN ANALYZE VERBOSE TABLE t").unwrap(),
        Statement::Explain { analyze: true, verbose: true, .. }
    ));
    assert!(matches!(parse("explain (select 1)").unwrap(), Statement::Explain { analyze: false, .. }));
}

#[test]
fn other_kinds_are_refused_by_name() {
    for sql in [
        "CREATE MATERIALIZED VIEW",
        "DROP FUNCTION",
        "ALTER VIEW",
        "GRANT",
        "REVOKE",
        "PREPARE",
        "EXECUTE IMMEDIATE",
        "EXECUTE",
        "DEALLOCATE PREPARE",
        "START TRANSACTION",
        "COMMIT",
        "ROLLBACK",
        "ANALYZE",
        "SHOW GRANTS",
        "SHOW ROLES",
        "SHOW CREATE VIEW",
        "SET ROLE",
        "SET PATH",
        "SET SESSION AUTHORIZATION",
        "DENY",
        "COPY",
        "REFRESH MATERIALIZED VIEW",
    ] {
        check_refused(&format!("  {sql} x"), (1, 3), "NOT_SUPPORTED", &format!("{sql} is not supported yet"));
    }
    check_refused("DESCRIBE INPUT q", (1, 1), "NOT_SUPPORTED", "DESCRIBE INPUT");
    check_refused("EXPLAIN DROP ROLE r", (1, 9), "NOT_SUPPORTED", "DROP ROLE");
    check_refused("CREATE OR REPLACE TABLE t (a bigint)", (1, 1), "NOT_SUPPORTED", "CREATE OR REPLACE TABLE");
}

#[test]
fn syntax_errors_say_where_and_what() {
    for (sql, place, part) in [
        ("selec 1", (1, 1), "mismatched input 'selec'. Expecting: "),
        ("select *\nfrom", (2, 5), "mismatched input '<EOF>'. Expecting: <identifier>"),
        ("select 1 from a where", (1, 22), "mismatched input '<EOF>'"),
        ("select a b c from t", (1, 12), "mismatched input 'c'"),
        ("select 'é', ) from t", (1, 13), "mismatched input ')'"),
        ("select 1; select 2", (1, 11), "only one statement"),
        ("select (1", (1, 10), "Expecting: ')'"),
        ("explain selec 1", (1, 9), "mismatched input 'selec'"),
        ("select a = b = c", (1, 14), "do not chain"),
        ("select case end", (1, 13), "Expecting"),
        ("select 9223372036854775808", (1, 8), "invalid numeric literal"),
        ("select x'0'", (1, 8), "even number"),
        ("select * from a join b", (1, 23), "Expecting: 'ON', 'USING'"),
        ("show session foo", (1, 14), "mismatched input 'foo'"),
        ("select ? + $1", (1, 12), "not both"),
        ("select interval '5'", (1, 20), "Expecting: 'DAY'"),
        ("with x as (select 1), x as (select 2) select 1", (1, 23), "specified more than once"),
    ] {
        let code = if sql.contains("with x") { "DUPLICATE_NAMED_QUERY" } else { "SYNTAX_ERROR" };
        check_refused(sql, place, code, part);
    }
    for empty in ["", "  ", "-- nothing\n", "/* nothing */"] {
        assert!(parse(empty).unwrap_err().message().contains("empty"));
    }
    check_refused(";", (1, 1), "SYNTAX_ERROR", "mismatched input ';'");
}

#[test]
fn constructs_are_refused_by_name() {
    for (sql, part) in [
        ("select * from t tablesample bernoulli (10)", "TABLESAMPLE"),
        ("select * from t for version as of 1", "FOR VERSION"),
        ("select * from table(f(1))", "table function \"f\" does not exist"),
        ("select a from t intersect all select b from u", "INTERSECT ALL"),
        ("select a from t except all select b from u", "EXCEPT ALL"),
        ("select a from t fetch first 1 row with ties", "WITH TIES"),
        ("select * from a natural join b", "NATURAL JOIN"),
        ("select * from unnest(array[1]) with ordinality", "ORDINALITY"),
        ("select cast(x as row(a integer))", "a cast to row"),
        ("select cast(x as map(integer, integer))", "a cast to map"),
        ("select cast(x as timestamp(12))", "timestamp(12)"),
        ("select json '{}'", "a literal of type json"),
        ("select json_value(x, 'lax $')", "JSON_VALUE"),
        ("select try(1/0)", "TRY of anything but CAST"),
        ("select (a, b) in (select 1, 2)", "comparing a row"),
        ("select group by distinct a", "mismatched"),
        ("select x::numeric", "numeric without a precision"),
        ("select 1 qualify 2", "QUALIFY"),
        ("select distinct on (a) a from t", "DISTINCT ON"),
    ] {
        let error = parse(sql).unwrap_err();
        assert!(error.message().contains(part), "{sql}: {error}");
        assert!(error.position().is_some(), "{sql}");
    }
}
