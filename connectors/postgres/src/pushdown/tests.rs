//! Expressions and plans in, SQL or the reason out; no server. What the SQL answers is tested with
//! the scans.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::logical_expr::{Filter, LogicalPlan};
use datafusion::prelude::{SessionConfig, SessionContext, col, lit};
use meesh_connector_spi::{Pushdown, SourceTable, TableKind, Verdict};

use super::print;
use crate::catalog::{Relation, RemoteColumn};
use crate::config::{NumericMapping, PostgresConfig, Rounding};
use crate::connector::PostgresConnector;
use crate::types::{Collation, TypeResolver, TypeRow};

const NUMERIC_12_2: i32 = ((12 << 16) | 2) + 4;
const DEFAULT: Collation = Collation { oid: 100, deterministic: true, bytewise: false };
const C: Collation = Collation { oid: 950, deterministic: true, bytewise: true };
const ICU: Collation = Collation { oid: 9000, deterministic: false, bytewise: false };

#[rustfmt::skip]
const COLUMNS: &[(&str, u32, i32, Collation)] = &[
    ("id", 20, -1, DEFAULT), ("n", 23, -1, DEFAULT), ("s", 21, -1, DEFAULT), ("price", 1700, NUMERIC_12_2, DEFAULT),
    ("name", 1043, -1, DEFAULT), ("other", 25, -1, DEFAULT), ("bytewise", 25, -1, C), ("loose", 25, -1, ICU),
    ("code", 1042, 8, DEFAULT), ("mood", 5000, -1, DEFAULT), ("u", 2950, -1, DEFAULT), ("j", 3802, -1, DEFAULT),
    ("day", 1082, -1, DEFAULT), ("at", 1114, -1, DEFAULT), ("atz", 1184, -1, DEFAULT), ("f4", 700, -1, DEFAULT),
    ("f8", 701, -1, DEFAULT), ("ok", 16, -1, DEFAULT), ("tags", 1007, -1, DEFAULT), ("ip", 869, -1, DEFAULT),
    ("b", 17, -1, DEFAULT), ("x\"; drop table x;--", 23, -1, DEFAULT),
];

fn relation(utf8: bool) -> Relation {
    let types = HashMap::from([
        (1007, TypeRow { name: "_int4".into(), kind: "b".into(), element: 23, ..TypeRow::default() }),
        (869, TypeRow { name: "inet".into(), kind: "b".into(), ..TypeRow::default() }),
        (5000, TypeRow { name: "mood".into(), kind: "e".into(), ..TypeRow::default() }),
    ]);
    let numeric = NumericMapping { scale: 10, rounding: Rounding::Unnecessary };
    let resolver = TypeResolver { types: &types, numeric, as_text: &[] };
    let column = |(name, oid, typmod, collation): &(&str, u32, i32, Collation)| {
        Arc::new(RemoteColumn {
            name: (*name).into(),
            column_type: resolver.column(*oid, *typmod, 0),
            collation: *collation,
            nullable: *name != "id",
            native_type: String::new(),
            comment: None,
            type_oid: *oid,
            values: None,
        })
    };
    Relation {
        schema: "Public".into(),
        name: "t".into(),
        kind: TableKind::Table,
        comment: None,
        columns: COLUMNS.iter().map(column).collect(),
        primary_key: vec!["id".into()],
        rows: Some(1000),
        utf8,
        hashes_lists: true,
        lockable: true,
        pages: None,
        indexed: vec!["id".into()],
    }
}

fn connector() -> PostgresConnector {
    let values = PostgresConfig::values_of_url("sales", "postgres://ann:secret@db.invalid/shop").unwrap().unwrap();
    PostgresConnector::new("sales", PostgresConfig::parse("sales", &values).unwrap())
}

fn table(connector: &PostgresConnector, utf8: bool) -> Arc<dyn TableProvider> {
    let relation = Arc::new(relation(utf8));
    Arc::new(SourceTable {
        catalog: "sales".into(),
        schema_name: "Public".into(),
        table_name: "t".into(),
        columns: relation.schema(),
        connector: Arc::new(connector.clone()),
        statistics: datafusion::common::Statistics::new_unknown(&relation.schema()),
        handle: relation,
        table_type: datafusion::logical_expr::TableType::Base,
    })
}

async fn plan(sql: &str, utf8: bool) -> (PostgresConnector, LogicalPlan) {
    let connector = connector();
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    context.register_table("t", table(&connector, utf8)).unwrap();
    let plan = context.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).into_optimized_plan().unwrap();
    (connector, plan)
}

/// What the whole of `sql` becomes, or `local: ` and the reason.
async fn printed(sql: &str, utf8: bool) -> String {
    printed_as(sql, utf8, false).await
}

async fn printed_as(sql: &str, utf8: bool, correlated: bool) -> String {
    let (connector, plan) = plan(sql, utf8).await;
    let outcome = print::select(&plan, &connector.printing(correlated));
    match outcome.and_then(|select| select.finish(&print::types(plan.schema()), None)) {
        Ok((text, _)) => text,
        Err(reason) => format!("local: {reason}"),
    }
}

async fn check_conditions(utf8: bool, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (condition, expected) in cases {
        let text = printed(&format!("SELECT id FROM t WHERE {condition}"), utf8).await;
        let text = text.strip_prefix("SELECT \"id\" FROM \"Public\".\"t\" WHERE ").unwrap_or(&text);
        if text != *expected {
            wrong.push(format!("{condition}\n  printed  {text}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn numbers_dates_and_connectives() {
    #[rustfmt::skip]
    check_conditions(true, &[
        ("id = 5", "\"id\" = 5::bigint"),
        ("n >= -3", "\"n\" >= '-3'::integer"),
        ("s <> 7", "\"s\" <> 7::smallint"),
        ("price > 100", "\"price\" > 100.00::numeric"),
        ("day >= date '1995-01-01'", "\"day\" >= '1995-01-01'::date"),
        ("at < timestamp '2020-02-29 12:00:00.5'", "\"at\" < '2020-02-29 12:00:00.500000'::timestamp"),
        ("ok", "\"ok\""),
        ("NOT ok", "NOT \"ok\""),
        ("ok IS NOT TRUE", "\"ok\" IS NOT TRUE"),
        ("id = 1 OR (n = 2 AND s = 3)", "(\"id\" = 1::bigint OR (\"n\" = 2::integer AND \"s\" = 3::smallint))"),
        ("n IS NULL", "\"n\" IS NULL"),
        ("tags IS NOT NULL", "\"tags\" IS NOT NULL"),
        ("j IS NULL", "\"j\"::text IS NULL"),
        ("id IN (1, 2, 3, 4, 5)", "\"id\" IN (1::bigint, 2::bigint, 3::bigint, 4::bigint, 5::bigint)"),
        ("n BETWEEN 1 AND 9", "\"n\" >= 1::integer AND \"n\" <= 9::integer"),
        ("n + s > 10", "\"n\" + \"s\"::integer > 10::integer"),
        ("n % 7 = 0", "\"n\"::bigint % 7::bigint = 0::bigint"),
        ("b = X'00ff'", r#""b" = E'\\x00ff'::bytea"#),
        ("\"x\"\"; drop table x;--\" = 1", "\"x\"\"; drop table x;--\" = 1::integer"),
    ]).await;
}

#[tokio::test]
async fn texts_follow_their_collation() {
    #[rustfmt::skip]
    check_conditions(true, &[
        ("name = 'it''s'", "\"name\" = 'it''s'::text"),
        ("name = '\"; drop table x;--'", "\"name\" = '\"; drop table x;--'::text"),
        (r"name = '\'''", r#""name" = E'\\'''::text"#),
        ("name > 'm'", "\"name\" COLLATE \"C\" > 'm'::text"),
        ("bytewise > 'm'", "\"bytewise\" > 'm'::text"),
        ("name = other", "\"other\" = \"name\""),
        ("name = bytewise", "\"name\" COLLATE \"C\" = \"bytewise\""),
        ("loose = 'a'", "\"loose\" COLLATE \"C\" = 'a'::text"),
        ("name IN ('a', 'b', 'c', 'd')", "\"name\" IN ('a'::text, 'b'::text, 'c'::text, 'd'::text)"),
        ("name LIKE 'a%'", "\"name\" LIKE 'a%'::text"),
        ("loose NOT LIKE '%a_b%'", "\"loose\" COLLATE \"C\" NOT LIKE '%a_b%'::text"),
        ("code = 'ab'", "\"code\" = 'ab'::bpchar"),
        ("code = 'ab '", "\"code\"::text = 'ab '::text"),
        ("code LIKE 'a%'", "\"code\"::text LIKE 'a%'::text"),
        ("mood = 'sad'", "\"mood\"::text = 'sad'::text"),
        ("mood < 'sad'", "\"mood\"::text COLLATE \"C\" < 'sad'::text"),
        ("ip = '::1'", "\"ip\"::text = '::1'::text"),
        ("u = '0f0e0d0c-0b0a-0908-0706-050403020100'", "\"u\" = '0f0e0d0c-0b0a-0908-0706-050403020100'::uuid"),
        ("u = 'nonsense'", "\"u\"::text = 'nonsense'::text"),
        ("coalesce(name, mood) = 'a'",
            "CASE WHEN \"name\" IS NOT NULL THEN \"name\" ELSE \"mood\"::text END COLLATE \"C\" = 'a'::text"),
    ]).await;
    check_conditions(
        false,
        &[("name = 'a'", "\"name\" = 'a'::text"), ("name > 'a'", "local: t.name > 'a': the database is not in UTF-8")],
    )
    .await;
}

#[tokio::test]
async fn functions_casts_and_floats() {
    #[rustfmt::skip]
    check_conditions(true, &[
        ("f8 > 1.5", "\"f8\" > '1.5'::double precision"),
        ("f4 = 0.1", "\"f4\"::double precision = '0.1'::double precision"),
        ("date_part('month', day) = 2", "extract(month from \"day\")::int = 2::integer"),
        ("date_part('hour', at) = 2", "extract(hour from \"at\")::int = 2::integer"),
        ("date_part('dow', atz) = 2", "extract(dow from (\"atz\" AT TIME ZONE 'UTC'))::int = 2::integer"),
        ("date_part('year', day) > n",
            "(extract(year from \"day\") + (\"day\" < '0001-01-01')::int)::int > \"n\""),
        ("date_trunc('month', at) = at", "date_trunc('month', \"at\") = \"at\""),
        ("date_trunc('week', atz) = atz", "date_trunc('week', \"atz\", 'UTC') = \"atz\""),
        ("CASE WHEN n > 0 THEN id ELSE 0 END = id",
            "CASE WHEN \"n\" > 0::integer THEN \"id\" ELSE 0::bigint END = \"id\""),
        ("price * 2 > price", "\"price\" * 2::numeric > \"price\""),
    ]).await;
}

#[tokio::test]
async fn what_differs_stays_local_and_says_why() {
    for (condition, reason) in [
        ("lower(name) = 'a'", "lower(t.name): collation"),
        ("name ILIKE 'A%'", "locale"),
        ("name ~ 'a.c'", "regular expressions differ"),
        ("f8 = 0.0", "NaN and -0 compare differently"),
        ("f8 < f8 + 1", "Float64"),
        ("n / s = 1", "quotient of Int32"),
        ("cast(name AS bigint) = 5", "can fail or differ"),
        ("cast(id AS integer) = n", "can fail or differ"),
        ("tags = make_array(1)", "local"),
        ("random() < 0.5", "not translated"),
    ] {
        let text = printed(&format!("SELECT id FROM t WHERE {condition}"), true).await;
        assert!(text.starts_with("local: ") && text.contains(reason), "{condition}: {text}");
    }
}

#[tokio::test]
async fn plans_become_one_select() {
    #[rustfmt::skip]
    let cases = [
        ("SELECT name, j, ip, code FROM t", "SELECT \"name\", \"j\", \"ip\"::text, \"code\" FROM \"Public\".\"t\""),
        ("SELECT n + 1, price * price, 'x' FROM t",
            "SELECT (\"n\"::bigint + 1::bigint)::bigint, (\"price\" * \"price\")::numeric, 'x'::text \
             FROM \"Public\".\"t\""),
        ("SELECT id FROM t WHERE n = 1 LIMIT 3",
            "SELECT \"id\" FROM \"Public\".\"t\" WHERE \"n\" = 1::integer LIMIT 3"),
        ("SELECT id FROM (SELECT id, n FROM t LIMIT 10) WHERE n = 1 LIMIT 3 OFFSET 2",
            "SELECT q1.c0 FROM (SELECT \"id\", \"n\" FROM \"Public\".\"t\" LIMIT 10) AS q1(c0, c1) \
             WHERE q1.c1 = 1::integer LIMIT 3 OFFSET 2"),
        ("SELECT id FROM (SELECT id FROM t LIMIT 10 OFFSET 4) LIMIT 8 OFFSET 5",
            "SELECT \"id\" FROM \"Public\".\"t\" LIMIT 5 OFFSET 9"),
        ("SELECT m, u FROM (SELECT n + s AS m, u FROM t LIMIT 5) WHERE m > 3",
            "SELECT (q1.c0 + q1.c1::integer)::integer, q1.c2 FROM \
             (SELECT \"n\", \"s\", \"u\" FROM \"Public\".\"t\" LIMIT 5) \
             AS q1(c0, c1, c2) WHERE q1.c0 + q1.c1::integer > 3::integer"),
    ];
    check_selects(&cases).await;
}

/// What is above the first relation is one derived table in another.
#[tokio::test]
async fn joins_groups_and_sets_become_derived_tables() {
    #[rustfmt::skip]
    let cases = [
        ("SELECT count(*) FROM t WHERE n > 1",
            "SELECT q1.c0::bigint FROM (SELECT count(*) FROM \"Public\".\"t\" WHERE \"n\" > 1::integer) AS q1(c0)"),
        ("SELECT name, sum(n) FROM t GROUP BY name HAVING sum(n) > 5",
            "SELECT q1.c0, q1.c1::bigint FROM (SELECT \"name\", sum(\"n\")::bigint FROM \"Public\".\"t\" GROUP BY 1) \
             AS q1(c0, c1) WHERE q1.c1 > 5::bigint"),
        ("SELECT a.id FROM t a JOIN t b ON a.n = b.n AND a.s < b.s",
            "SELECT q1.c0 FROM (SELECT \"id\", \"n\", \"s\" FROM \"Public\".\"t\") AS q1(c0, c1, c2) \
             JOIN (SELECT \"n\", \"s\" FROM \"Public\".\"t\") AS q2(c0, c1) ON q1.c1 = q2.c0 AND q1.c2 < q2.c1"),
        ("SELECT id FROM t WHERE s NOT IN (SELECT n FROM t)",
            "SELECT q1.c0 FROM (SELECT \"id\", \"s\" FROM \"Public\".\"t\") AS q1(c0, c1) \
             WHERE q1.c1::integer NOT IN (SELECT q2.c0 FROM (SELECT \"n\" FROM \"Public\".\"t\") AS q2(c0))"),
        ("SELECT id, name FROM t ORDER BY name DESC, id LIMIT 3",
            "SELECT q1.c0, q1.c1 FROM (SELECT \"id\", \"name\" FROM \"Public\".\"t\") AS q1(c0, c1) \
             ORDER BY q1.c1 COLLATE \"C\" DESC NULLS FIRST, q1.c0 ASC NULLS LAST LIMIT 3"),
        ("SELECT n FROM t UNION ALL SELECT n + 1 FROM t",
            "SELECT q1.c0::bigint FROM ((SELECT \"n\"::bigint::bigint FROM \"Public\".\"t\") UNION ALL \
             (SELECT (\"n\"::bigint + 1::bigint)::bigint FROM \"Public\".\"t\")) AS q1(c0)"),
    ];
    check_selects(&cases).await;
}

/// The other of two SELECTs: a grouping that is joined by its keys reads only the rows with those.
#[tokio::test]
async fn groupings_read_the_rows_of_their_keys() {
    #[rustfmt::skip]
    let cases = [
        ("SELECT a.id, g.x FROM t a JOIN (SELECT n, max(s) AS x FROM t GROUP BY n) g ON g.n = a.n",
            "SELECT q2.c0, q3.c1::smallint FROM (SELECT \"id\", \"n\" FROM \"Public\".\"t\") AS q2(c0, c1) \
             JOIN LATERAL (SELECT q1.c0, q1.c1 FROM (SELECT \"n\", max(\"s\") FROM \"Public\".\"t\" WHERE \"n\" = q2.c1 GROUP BY 1) \
             AS q1(c0, c1)) AS q3(c0, c1) ON q2.c1 = q3.c0"),
        ("SELECT a.id, g.x FROM t a LEFT JOIN (SELECT n, u, max(s) AS x FROM t GROUP BY n, u) g \
            ON g.n = a.n AND g.u = a.u AND g.x > a.s",
            "SELECT q2.c0, q3.c2::smallint FROM (SELECT \"id\", \"n\", \"s\", \"u\" FROM \"Public\".\"t\") AS q2(c0, c1, c2, c3) \
             LEFT JOIN LATERAL (SELECT q1.c0, q1.c1, q1.c2 FROM (SELECT \"n\", \"u\", max(\"s\") FROM \"Public\".\"t\" \
             WHERE \"n\" = q2.c1 AND \"u\"::text = q2.c3::text GROUP BY 1, 2) AS q1(c0, c1, c2)) AS q3(c0, c1, c2) \
             ON q2.c1 = q3.c0 AND q2.c3::text = q3.c1::text AND q3.c2 > q2.c2"),
        ("SELECT a.id FROM t a WHERE a.s > (SELECT max(b.s) FROM t b WHERE b.n = a.n)",
            "SELECT q2.c0 FROM (SELECT \"id\", \"n\", \"s\" FROM \"Public\".\"t\") AS q2(c0, c1, c2) \
             WHERE EXISTS (SELECT FROM (SELECT q1.c1, q1.c0 FROM (SELECT \"n\", max(\"s\") FROM \"Public\".\"t\" \
             WHERE \"n\" = q2.c1 GROUP BY 1) AS q1(c0, c1)) AS q3(c0, c1) WHERE q2.c1 = q3.c1 AND q2.c2 > q3.c0)"),
        ("SELECT a.id FROM t a WHERE NOT EXISTS (SELECT 1 FROM (SELECT n, max(s) AS x FROM t GROUP BY n) g \
            WHERE g.n = a.n AND g.x < a.s)",
            "SELECT q2.c0 FROM (SELECT \"id\", \"n\", \"s\" FROM \"Public\".\"t\") AS q2(c0, c1, c2) \
             WHERE NOT EXISTS (SELECT FROM (SELECT q1.c0, q1.c1 FROM (SELECT \"n\", max(\"s\") FROM \"Public\".\"t\" \
             WHERE \"n\" = q2.c1 GROUP BY 1) AS q1(c0, c1)) AS q3(c0, c1) WHERE q2.c1 = q3.c0 AND q3.c1 < q2.c2)"),
        // Not where other rows count, or the key is none of the grouping's.
        ("SELECT a.id, g.x FROM t a JOIN (SELECT n, max(s) AS x FROM t GROUP BY n LIMIT 3) g ON g.n = a.n",
            "SELECT q2.c0, q3.c1::smallint FROM (SELECT \"id\", \"n\" FROM \"Public\".\"t\") AS q2(c0, c1) \
             JOIN (SELECT q1.c0, q1.c1 FROM (SELECT \"n\", max(\"s\") FROM \"Public\".\"t\" GROUP BY 1) AS q1(c0, c1) LIMIT 3) \
             AS q3(c0, c1) ON q2.c1 = q3.c0"),
        ("SELECT a.id, g.x FROM t a JOIN (SELECT n, max(s) AS x FROM t GROUP BY n) g ON g.x = a.s",
            "SELECT q2.c0, q3.c0::smallint FROM (SELECT \"id\", \"s\" FROM \"Public\".\"t\") AS q2(c0, c1) \
             JOIN (SELECT q1.c1 FROM (SELECT \"n\", max(\"s\") FROM \"Public\".\"t\" GROUP BY 1) AS q1(c0, c1)) \
             AS q3(c0) ON q2.c1 = q3.c0"),
        ("SELECT a.id, g.r FROM t a JOIN (SELECT n, x, count(*) OVER () AS r \
            FROM (SELECT n, max(s) AS x FROM t GROUP BY n)) g ON g.n = a.n",
            "SELECT q3.c0, q4.c1::bigint FROM (SELECT \"id\", \"n\" FROM \"Public\".\"t\") AS q3(c0, c1) \
             JOIN (SELECT q2.c0, q2.c1 FROM (SELECT q1.c0, count(*) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND \
             UNBOUNDED FOLLOWING) FROM (SELECT \"n\" FROM \"Public\".\"t\" GROUP BY 1) AS q1(c0)) AS q2(c0, c1)) AS q4(c0, c1) \
             ON q3.c1 = q4.c0"),
        ("SELECT a.id, g.x FROM t a FULL JOIN (SELECT n, max(s) AS x FROM t GROUP BY n) g ON g.n = a.n",
            "SELECT q2.c0, q3.c1::smallint FROM (SELECT \"id\", \"n\" FROM \"Public\".\"t\") AS q2(c0, c1) \
             FULL JOIN (SELECT q1.c0, q1.c1 FROM (SELECT \"n\", max(\"s\") FROM \"Public\".\"t\" GROUP BY 1) AS q1(c0, c1)) \
             AS q3(c0, c1) ON q2.c1 = q3.c0"),
    ];
    check_selects_as(&cases, true).await;
}

async fn check_selects(cases: &[(&str, &str)]) {
    check_selects_as(cases, false).await;
}

async fn check_selects_as(cases: &[(&str, &str)], correlated: bool) {
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let text = printed_as(sql, true, correlated).await;
        if text != *expected {
            wrong.push(format!("{sql}\n  printed  {text}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_scan_without_columns_counts() {
    let (connector, plan) = plan("SELECT median(1) FROM t WHERE n > 1", true).await;
    let mut leaf = &plan;
    while let Verdict::No(_) = connector.classify(leaf) {
        leaf = leaf.inputs()[0];
    }
    assert!(leaf.schema().fields().is_empty(), "{leaf}");
    let select = print::select(leaf, &connector.printing(false)).unwrap();
    assert_eq!(select.finish(&[], None).unwrap().0, "SELECT FROM \"Public\".\"t\" WHERE \"n\" > 1::integer");
}

#[tokio::test]
async fn a_bomb_is_refused_not_walked() {
    let (connector, plan) = plan("SELECT id FROM t", true).await;
    let sum = (0..3000).fold(col("t.n"), |sum, n| sum + lit(n));
    let filter = Filter::try_new(sum.eq(lit(1i32)), Arc::new(plan)).unwrap();
    match connector.classify(&LogicalPlan::Filter(filter)) {
        Verdict::No(reason) => assert!(reason.contains("nested too deep"), "{reason}"),
        Verdict::Yes => panic!("taken"),
    }
}
