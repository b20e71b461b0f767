//! Statements that write: what each asks for, and the query that finds its rows.

use meesh_base::{Definition, NewColumn, SqlType};

use super::check_refused;
use crate::{Action, Query, Statement, Write, parse};

fn write(sql: &str) -> Write {
    match parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")) {
        Statement::Write(write) => *write,
        other => panic!("{sql}: {other:?}"),
    }
}

fn definition(sql: &str) -> (String, Definition) {
    match write(sql) {
        Write::Define { table, definition } => (table.to_string(), definition),
        Write::DefineSchema { schema, definition } => (schema.schema, definition),
        other => panic!("{sql}: {other:?}"),
    }
}

fn changed(sql: &str) -> (Query, Vec<Action>) {
    match write(sql) {
        Write::Change { query, actions, .. } => (query, actions),
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn inserts() {
    for (sql, columns) in [
        ("INSERT INTO c.s.t VALUES (1, 'a'), (2, 'b')", None),
        ("INSERT INTO t (A, \"B c\") SELECT 1, 2", Some(vec!["a", "b c"])),
        ("INSERT INTO t (SELECT a FROM u)", None),
        ("INSERT INTO t (TABLE u)", None),
        ("INSERT INTO t WITH q AS (SELECT 1) SELECT * FROM q", None),
    ] {
        let Write::Insert { table, columns: found, .. } = write(sql) else { panic!("{sql}") };
        assert_eq!(table.table, "t", "{sql}");
        let found = found.map(|columns| columns.into_iter().map(|column| column.name).collect::<Vec<_>>());
        assert_eq!(found, columns.map(|names| names.into_iter().map(str::to_owned).collect()), "{sql}");
    }
    let Write::Insert { query, .. } = write("INSERT INTO t VALUES (?, ? + 1)") else { panic!() };
    assert_eq!(query.parameters, 2);
    check_refused("INSERT INTO t (a, A) VALUES (1, 2)", (1, 19), "DUPLICATE_COLUMN_NAME", "more than once");
    check_refused("INSERT INTO t (a) x", (1, 19), "SYNTAX_ERROR", "'VALUES'");
    check_refused("INSERT t VALUES (1)", (1, 8), "SYNTAX_ERROR", "'INTO'");
}

#[test]
fn changes_become_queries_of_addresses() {
    for (sql, expected) in [
        (
            "DELETE FROM c.s.T WHERE t.a = 1",
            "SELECT \"t\".\"$ROW\" AS \"$ROW\", \"t\".\"$PART\" AS \"$PART\" FROM \"$TARGET\" AS \"t\" WHERE t.a = ",
        ),
        (
            "UPDATE t SET a = b, b = a",
            "SELECT \"t\".\"$ROW\" AS \"$ROW\", \"t\".\"$PART\" AS \"$PART\", b AS \"$V0\", a AS \"$V1\" \
             FROM \"$TARGET\" AS \"t\"",
        ),
        (
            "MERGE INTO t AS x USING u y ON x.a = y.a WHEN MATCHED THEN DELETE",
            "SELECT x.\"$ROW\" AS \"$ROW\", x.\"$PART\" AS \"$PART\", \
             CASE WHEN x.\"$ROW\" IS NOT NULL THEN 0 END AS \"$CASE\" \
             FROM u AS y LEFT OUTER JOIN \"$TARGET\" AS x ON x.a = y.a WHERE",
        ),
    ] {
        let (query, _) = changed(sql);
        let text = query.ast.to_string().replace("LEFT JOIN", "LEFT OUTER JOIN");
        assert!(text.starts_with(expected), "{sql}: {text}");
    }
    let Write::Change { all: true, query, .. } = write("DELETE FROM t") else { panic!() };
    assert!(query.tables.is_empty());
    let (query, _) = changed("DELETE FROM t WHERE a IN (SELECT b FROM u)");
    assert_eq!(query.tables.len(), 1);
    assert_eq!(query.tables[0].table, "u");
    check_refused("DELETE FROM t x", (1, 15), "SYNTAX_ERROR", "mismatched input 'x'");
    check_refused("UPDATE t SET a = 1, A = 2", (1, 21), "DUPLICATE_COLUMN_NAME", "more than once");
    check_refused("MERGE INTO t USING u ON true", (1, 29), "SYNTAX_ERROR", "'WHEN'");
    // No statement can name what the parser adds.
    let (query, _) = changed("DELETE FROM t WHERE \"$ROW\" = 'x'");
    assert!(query.ast.to_string().contains("WHERE \"$row\" ="));
}

#[test]
fn merges_say_what_is_done() {
    let (query, actions) = changed(
        "MERGE INTO t USING (SELECT 1 AS a, 2 AS b) s ON t.a = s.a \
         WHEN MATCHED AND s.b > 5 THEN UPDATE SET b = s.b, c = DEFAULT_VALUE \
         WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b)",
    );
    let [Action::Update(updated), Action::Insert { columns: Some(columns), values: 2 }] = actions.as_slice() else {
        panic!("{actions:?}")
    };
    assert_eq!((updated.len(), columns.len()), (2, 2));
    let text = query.ast.to_string();
    assert!(text.contains("AS \"$V3\""), "{text}");
    check_refused(
        "MERGE INTO t USING u ON true WHEN MATCHED THEN INSERT VALUES (1)",
        (1, 48),
        "SYNTAX_ERROR",
        "'DELETE', 'UPDATE'",
    );
}

#[test]
fn definitions() {
    let plain = |name: &str, sql_type| NewColumn { name: name.to_owned(), sql_type, nullable: true, comment: None };
    let (name, found) = definition(
        "CREATE TABLE IF NOT EXISTS s.T (A varchar(3) NOT NULL COMMENT 'it''s', b decimal(12, 2), \
         c timestamp with time zone, d array(integer), e double precision) COMMENT 'x'",
    );
    let columns = vec![
        NewColumn { nullable: false, comment: Some("it's".to_owned()), ..plain("a", SqlType::Varchar(Some(3))) },
        plain("b", SqlType::Decimal { precision: 12, scale: 2 }),
        plain("c", SqlType::Timestamp { digits: 3, zoned: true }),
        plain("d", SqlType::Array(Box::new(SqlType::Integer))),
        plain("e", SqlType::Double),
    ];
    let expected = Definition::CreateTable { columns, comment: Some("x".to_owned()), if_not_exists: true };
    assert_eq!((name.as_str(), found), ("s.t", expected));
    for (sql, expected) in [
        ("CREATE SCHEMA IF NOT EXISTS c.s", Definition::CreateSchema { if_not_exists: true }),
        ("DROP SCHEMA s CASCADE", Definition::DropSchema { if_exists: false, cascade: true }),
        ("DROP SCHEMA IF EXISTS s RESTRICT", Definition::DropSchema { if_exists: true, cascade: false }),
        ("DROP TABLE IF EXISTS s", Definition::DropTable { if_exists: true }),
        ("DROP VIEW s", Definition::DropView { if_exists: false }),
        ("TRUNCATE TABLE s", Definition::Truncate),
        (
            "ALTER TABLE s RENAME TO u",
            Definition::RenameTable { schema: None, table: "u".to_owned(), if_exists: false },
        ),
        (
            "ALTER TABLE IF EXISTS s DROP COLUMN IF EXISTS b",
            Definition::DropColumn { column: "b".to_owned(), if_column_exists: true, if_exists: true },
        ),
        ("COMMENT ON TABLE s IS NULL", Definition::CommentTable(None)),
        (
            "COMMENT ON COLUMN s.b IS 'x'",
            Definition::CommentColumn { column: "b".to_owned(), comment: Some("x".to_owned()) },
        ),
    ] {
        assert_eq!(definition(sql), ("s".to_owned(), expected), "{sql}");
    }
    for (sql, place, code, part) in [
        ("CREATE TABLE t (a bigint) WITH (format = 'x')", (1, 33), "INVALID_TABLE_PROPERTY", "\"format\""),
        ("CREATE TABLE t (a bigint, A date)", (1, 27), "DUPLICATE_COLUMN_NAME", "more than once"),
        ("CREATE TABLE t (a strange)", (1, 19), "TYPE_NOT_FOUND", "strange"),
        ("CREATE TABLE t (a bigint DEFAULT 1)", (1, 26), "NOT_SUPPORTED", "DEFAULT"),
        ("CREATE TABLE t (LIKE u)", (1, 17), "NOT_SUPPORTED", "LIKE"),
        ("ALTER TABLE t SET PROPERTIES a = 1", (1, 15), "NOT_SUPPORTED", "ALTER TABLE … SET"),
        ("CREATE SCHEMA s AUTHORIZATION ann", (1, 17), "NOT_SUPPORTED", "AUTHORIZATION"),
    ] {
        check_refused(sql, place, code, part);
    }
}

#[test]
fn tables_and_views_of_queries() {
    let Write::CreateTableAs { columns: Some(columns), comment, with_data: false, .. } =
        write("CREATE TABLE t (a, b) COMMENT 'x' AS SELECT 1, 2 WITH NO DATA")
    else {
        panic!()
    };
    assert_eq!((columns.len(), comment.as_deref()), (2, Some("x")));
    assert!(matches!(
        write("CREATE TABLE IF NOT EXISTS t AS (SELECT 1 AS a)"),
        Write::CreateTableAs { if_not_exists: true, with_data: true, columns: None, .. }
    ));
    assert!(matches!(
        write("CREATE OR REPLACE VIEW v AS SELECT 1 AS a"),
        Write::CreateView { replace: true, comment: None, .. }
    ));
}

#[test]
fn a_procedure_may_have_a_reserved_word_for_a_name() {
    let Statement::Call { procedure, .. } = parse("CALL Sales.system.execute(query => 'x')").unwrap() else { panic!() };
    assert_eq!(procedure, ["sales", "system", "execute"]);
}

#[test]
fn queries_are_passed_through() {
    let sql = "SELECT * FROM TABLE(Sales.system.query(query => 'SELECT ''x''')) q, TABLE(b.system.query('y')), t";
    let Statement::Query(query) = parse(sql).unwrap() else { panic!() };
    let passed: Vec<_> = query.passed.iter().map(|one| (one.catalog.as_str(), one.text.as_str())).collect();
    assert_eq!(passed, [("sales", "SELECT 'x'"), ("b", "y")]);
    assert_eq!(query.tables.len(), 1);
    assert!(query.ast.to_string().contains("\"$QUERY1\" AS q"), "{}", query.ast);
}
