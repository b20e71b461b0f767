//! The catalog of a real server.

use meesh_connector_spi::TableKind;

use super::*;
use crate::testing::shared_server;

fn catalog(options: &[(&str, &str)]) -> Catalog {
    let mut values = PostgresConfig::values_of_url("sales", &shared_server().url("trusted")).unwrap().unwrap();
    for (name, text) in options {
        values.set(*name, *text, "test");
    }
    let config = Arc::new(PostgresConfig::parse("sales", &values).unwrap());
    let pool = Pool::open(config.options.clone(), config.pool);
    Catalog::new(config, pool)
}

const SETUP: &str = r#"
CREATE SCHEMA cat; GRANT USAGE ON SCHEMA cat TO PUBLIC;
CREATE TYPE cat.mood AS ENUM ('sad', 'ok'); CREATE TYPE cat.pair AS (a int, b text);
CREATE DOMAIN cat.price AS numeric(12,2); CREATE DOMAIN cat.net AS cat.price;
CREATE TABLE cat."Orders" (id bigint, part int, note text COLLATE "C", amount cat.net NOT NULL,
  moods cat.mood[], pair cat.pair, ip inet, PRIMARY KEY (part, id));
COMMENT ON TABLE cat."Orders" IS 'what was ordered'; COMMENT ON COLUMN cat."Orders".note IS 'free text';
INSERT INTO cat."Orders" SELECT i, i % 3, 'x', 1 FROM generate_series(1, 1000) i; ANALYZE cat."Orders";
CREATE TABLE cat.parted (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE cat.parted_1 PARTITION OF cat.parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
INSERT INTO cat.parted SELECT i, '2020-05-05' FROM generate_series(1, 500) i; ANALYZE cat.parted;
CREATE VIEW cat.v AS SELECT id FROM cat."Orders"; CREATE MATERIALIZED VIEW cat.mv AS SELECT 1 AS one;
CREATE TABLE cat."two" (i int); CREATE TABLE cat."TWO" (i int); CREATE TABLE cat."Größe" (i int);
CREATE TABLE cat.fresh AS SELECT i AS n FROM generate_series(1, 10000) i;
CREATE SCHEMA "Twice"; CREATE SCHEMA twice;
"#;

/// The schema is made once, whichever test comes first.
fn setup() {
    static DONE: std::sync::Once = std::sync::Once::new();
    DONE.call_once(|| drop(shared_server().psql(SETUP)));
}

#[tokio::test]
async fn schemas_and_tables_are_listed() {
    setup();
    let catalog = catalog(&[]);
    let schemas = catalog.schemas().await.unwrap();
    assert!(schemas.contains(&"cat".to_owned()) && !schemas.contains(&"pg_catalog".to_owned()), "{schemas:?}");
    let tables = catalog.tables("CAT").await.unwrap();
    let kinds: Vec<(&str, TableKind)> = tables.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    for expected in [
        ("Orders", TableKind::Table),
        ("parted", TableKind::Table),
        ("parted_1", TableKind::Table),
        ("v", TableKind::View),
        ("mv", TableKind::MaterializedView),
    ] {
        assert!(kinds.contains(&expected), "{kinds:?}");
    }
    assert_eq!(tables.iter().find(|t| t.name == "Orders").unwrap().comment.as_deref(), Some("what was ordered"));
    assert!(catalog.tables("nowhere").await.unwrap().is_empty());
    let error = catalog.tables("TWICE").await.unwrap_err().to_string();
    assert!(error.contains("\"Twice\" and \"twice\""), "{error}");
    let with_system = self::catalog(&[("postgresql.include-system-tables", "true")]).schemas().await.unwrap();
    assert!(with_system.contains(&"pg_catalog".to_owned()));
}

#[tokio::test]
async fn a_relation_is_described_in_full() {
    setup();
    let catalog = catalog(&[]);
    let orders = catalog.relation("cat", "orders").await.unwrap().unwrap();
    assert_eq!((orders.schema.as_str(), orders.name.as_str()), ("cat", "Orders"));
    assert_eq!(orders.primary_key, ["part", "id"]);
    assert_eq!(orders.rows, Some(1000));
    assert!(orders.utf8);
    let shown: Vec<String> = orders
        .columns
        .iter()
        .map(|c| format!("{} {} {} {}", c.name, c.column_type.arrow, c.nullable, c.native_type))
        .collect();
    assert_eq!(
        shown,
        [
            "id Int64 false bigint",
            "part Int32 false integer",
            "note Utf8View true text",
            "amount Decimal128(12, 2) false cat.net",
            "moods List(Utf8View) true cat.mood[]",
            "pair Struct(\"a\": Int32, \"b\": Utf8View) true cat.pair",
            "ip Utf8View true inet",
        ]
    );
    assert_eq!(orders.columns[2].comment.as_deref(), Some("free text"));
    assert!(orders.columns[2].collation.bytewise);
    assert_eq!(orders.columns[2].collation.oid, 950);
    assert_eq!(catalog.relation("cat", "parted").await.unwrap().unwrap().rows, Some(500));
    assert_eq!(catalog.relation("cat", "v").await.unwrap().unwrap().rows, None);
    let fresh = catalog.relation("cat", "fresh").await.unwrap().unwrap().rows.unwrap();
    assert!((5_000..20_000).contains(&fresh), "{fresh}");
    assert!(catalog.relation("cat", "none").await.unwrap().is_none());
    assert!(catalog.relation("pg_catalog", "PG_STATS").await.unwrap().is_some());
    assert!(catalog.relation("information_schema", "columns").await.unwrap().is_some());
    assert!(catalog.relation("pg_toast", "pg_toast_1").await.unwrap().is_none());
}

#[tokio::test]
async fn names_fold_and_clashes_are_named() {
    setup();
    let catalog = catalog(&[]);
    assert_eq!(catalog.relation("CAT", "GRÖSSE").await.unwrap().map(|r| r.name.clone()), None);
    assert_eq!(catalog.relation("CAT", "GRÖßE").await.unwrap().unwrap().name, "Größe");
    let error = catalog.relation("cat", "Two").await.unwrap_err();
    assert!(error.to_string().contains("\"cat\".\"TWO\" and \"cat\".\"two\""), "{error}");
    assert_eq!(error.code(), Some("AMBIGUOUS_NAME"));
    assert!(catalog.relation("cat", "x'; drop table cat.two;--").await.unwrap().is_none());
    assert!(catalog.relation("cat", r"\'").await.unwrap().is_none());
}

#[tokio::test]
async fn answers_are_remembered_until_refreshed() {
    setup();
    shared_server().psql("CREATE TABLE cat.changing (i int)");
    let catalog = catalog(&[]);
    let columns = |relation: Option<Arc<Relation>>| relation.unwrap().columns.len();
    assert_eq!(columns(catalog.relation("cat", "changing").await.unwrap()), 1);
    shared_server().psql("ALTER TABLE cat.changing ADD j int");
    assert_eq!(columns(catalog.relation("cat", "changing").await.unwrap()), 1);
    catalog.refresh(Some("cat"), Some("CHANGING"));
    assert_eq!(columns(catalog.relation("cat", "changing").await.unwrap()), 2);
}

#[tokio::test]
async fn a_listed_schema_is_described_at_once() {
    setup();
    let catalog = catalog(&[]);
    let listed = catalog.tables("cat").await.unwrap();
    for table in listed.iter().filter(|table| !table.name.eq_ignore_ascii_case("two")) {
        let described = catalog.describe("cat", &table.name).await.unwrap();
        assert_eq!(described.map(|relation| relation.name.clone()).as_deref(), Some(table.name.as_str()));
    }
    assert!(catalog.relations.peek(&("cat".into(), "orders".into())).is_none(), "answered by the whole schema");
    assert!(catalog.describe("cat", "two").await.is_err());
}
