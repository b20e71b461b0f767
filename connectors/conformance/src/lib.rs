//! Behaviour that every connector must show, whatever its source.
//!
//! A connector's test fills its source with the table [`PEOPLE_SQL`] describes, puts the connector
//! into an engine, declares what it can ([`Declaration`]) and calls [`check`]. The suite holds the
//! declaration against what EXPLAIN shows, and every answer against the rows it knows, with pushdown
//! on and off.

pub mod rows;

use std::fmt::Write as _;

use meesh_base::{Error, ErrorKind, Result};
use meesh_engine::{Engine, MetadataFilter, Session};

use rows::rows;

/// The table that the suite reads, as SQL that PostgreSQL understands. A connector without SQL makes
/// the same table by its own means; [`people_csv`] has the same rows.
pub const PEOPLE_SQL: &str = "
CREATE TABLE people (id bigint NOT NULL, name varchar, amount decimal(12,2), born date, active boolean);
INSERT INTO people VALUES
  (1, 'Ann', 10.50, DATE '1990-01-31', true),
  (2, 'bob', -3.25, DATE '1969-07-20', false),
  (3, NULL, NULL, NULL, NULL),
  (4, '', 0.00, DATE '2000-02-29', true),
  (5, 'Ärger \"x\", ''y''', 9999999999.99, DATE '9999-12-31', false);";

/// The rows of [`PEOPLE_SQL`] as CSV; an unquoted empty field is NULL.
pub fn people_csv() -> &'static str {
    "id,name,amount,born,active\n\
     1,Ann,10.50,1990-01-31,true\n\
     2,bob,-3.25,1969-07-20,false\n\
     3,,,,\n\
     4,\"\",0.00,2000-02-29,true\n\
     5,\"Ärger \"\"x\"\", 'y'\",9999999999.99,9999-12-31,false\n"
}

/// What a connector says it can do.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// Comparisons, IN and IS NULL on numbers, dates, booleans and equality on text run at the source.
    pub takes_filters: bool,
    /// LIMIT runs at the source.
    pub takes_limit: bool,
    /// Columns keep `decimal(12,2)` and `boolean`; a source that infers types from text may not.
    pub exact_types: bool,
}

/// One statement and the rows it must give, as text.
struct Case {
    sql: &'static str,
    expected: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case { sql: "SELECT count(*) FROM people", expected: &["5"] },
    Case { sql: "SELECT id FROM people WHERE id > 3 ORDER BY id", expected: &["4", "5"] },
    Case { sql: "SELECT id FROM people WHERE id IN (1, 5, 7) ORDER BY id", expected: &["1", "5"] },
    Case { sql: "SELECT id FROM people WHERE name IS NULL", expected: &["3"] },
    Case { sql: "SELECT id FROM people WHERE name = ''", expected: &["4"] },
    Case { sql: "SELECT id FROM people WHERE name = 'Ann' OR name = 'bob' ORDER BY id", expected: &["1", "2"] },
    Case { sql: "SELECT id FROM people WHERE name <> 'Ann' ORDER BY id", expected: &["2", "4", "5"] },
    Case { sql: "SELECT id FROM people WHERE NOT (id = 1) ORDER BY id", expected: &["2", "3", "4", "5"] },
    Case { sql: "SELECT id FROM people WHERE born < DATE '1980-01-01'", expected: &["2"] },
    Case { sql: "SELECT id FROM people WHERE active ORDER BY id", expected: &["1", "4"] },
    Case { sql: "SELECT id FROM people WHERE amount BETWEEN -5 AND 1 ORDER BY id", expected: &["2", "4"] },
    Case { sql: "SELECT id FROM people WHERE name LIKE '%\"x\"%'", expected: &["5"] },
    Case { sql: "SELECT id FROM people WHERE lower(name) = 'ann'", expected: &["1"] },
    Case {
        sql: "SELECT name FROM people ORDER BY name DESC",
        expected: &["Ärger \"x\", 'y'", "bob", "Ann", "", "NULL"],
    },
    Case { sql: "SELECT name FROM people ORDER BY name", expected: &["", "Ann", "bob", "Ärger \"x\", 'y'", "NULL"] },
    Case { sql: "SELECT count(*) FROM (SELECT id FROM people LIMIT 2) x", expected: &["2"] },
    Case { sql: "SELECT id FROM people LIMIT 0", expected: &[] },
    Case { sql: "SELECT ID, iD FROM PEOPLE WHERE \"Id\" = 1", expected: &["1|1"] },
    Case { sql: "SELECT a.id FROM people a JOIN people b ON a.id = b.id + 1 WHERE b.name IS NULL", expected: &["4"] },
    Case {
        sql: "SELECT id FROM people WHERE id NOT IN (SELECT id FROM people WHERE active) ORDER BY id",
        expected: &["2", "3", "5"],
    },
    Case {
        sql: "SELECT active, count(*) FROM people GROUP BY active ORDER BY 1",
        expected: &["false|2", "true|2", "NULL|1"],
    },
    Case { sql: "SELECT cast(sum(amount) AS decimal(20, 2)) FROM people", expected: &["10000000007.24"] },
];

/// Runs the whole suite against `catalog.schema` of `engine`.
///
/// # Errors
/// One error that lists every failed check.
pub async fn check(engine: &Engine, catalog: &str, schema: &str, declared: Declaration) -> Result<usize> {
    let mut session = Session::new("conformance");
    session.set_property("catalog", catalog)?;
    session.set_property("schema", schema)?;
    let mut failures = String::new();
    let mut passed = 0;
    let mut note = |name: &str, outcome: Result<()>| match outcome {
        Ok(()) => passed += 1,
        Err(error) => drop(writeln!(failures, "{name}: {error}")),
    };
    for pushdown in ["true", "false"] {
        session.set_property("pushdown_enabled", pushdown)?;
        for case in CASES {
            note(&format!("{} (pushdown {pushdown})", case.sql), answers(engine, &session, case).await);
        }
    }
    session.set_property("pushdown_enabled", "true")?;
    note("pushdown as declared", pushes_as_declared(engine, &session, declared).await);
    note("types", types(engine, &session, declared).await);
    note("listings", listings(engine, catalog, schema).await);
    note("a misspelt table", misspelt(engine, &session).await);
    note("an abandoned scan", abandoned(engine, &session).await);
    if failures.is_empty() {
        return Ok(passed);
    }
    Err(Error::internal(format!("connector of catalog {catalog:?} failed:\n{failures}")))
}

async fn answers(engine: &Engine, session: &Session, case: &Case) -> Result<()> {
    let got = rows(engine, session, case.sql).await?;
    expect(got == case.expected, || format!("got {got:?}, expected {:?}", case.expected))
}

fn expect(holds: bool, message: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::internal(message())) }
}

async fn pushes_as_declared(engine: &Engine, session: &Session, declared: Declaration) -> Result<()> {
    let local = |plan: &str| plan.contains("FilterExec");
    for filter in ["id > 3", "id IN (1, 5)", "name IS NULL", "name = 'Ann'", "born < DATE '1980-01-01'", "amount > 1.5"]
    {
        let plan = rows(engine, session, &format!("EXPLAIN SELECT id FROM people WHERE {filter}")).await?.join("\n");
        let taken = !local(&plan) && plan.contains("WHERE");
        expect(taken == declared.takes_filters, || {
            format!("filter {filter} is declared {}: {plan}", declared.takes_filters)
        })?;
    }
    let plan = rows(engine, session, "EXPLAIN SELECT id FROM people LIMIT 2").await?.join("\n");
    expect(plan.contains("LIMIT 2") == declared.takes_limit, || {
        format!("limit is declared {}: {plan}", declared.takes_limit)
    })
}

async fn types(engine: &Engine, session: &Session, declared: Declaration) -> Result<()> {
    let described = rows(engine, session, "DESCRIBE people").await?;
    let expected = ["id|bigint||", "name|varchar||", "amount|decimal(12,2)||", "born|date||", "active|boolean||"];
    expect(!declared.exact_types || described == expected, || format!("DESCRIBE gave {described:?}"))
}

async fn listings(engine: &Engine, catalog: &str, schema: &str) -> Result<()> {
    let filter = MetadataFilter {
        catalog: Some(catalog.to_owned()),
        schema: Some(schema.to_owned()),
        table: Some("PEO%".to_owned()),
        ..MetadataFilter::default()
    };
    let tables = engine.list_tables(&filter, true).await;
    let [table] = tables.as_slice() else {
        return Err(Error::internal(format!("expected one table, found {}", tables.len())));
    };
    let columns = table.description.as_ref().map_or(0, |description| description.columns.len());
    expect(columns == 5, || format!("expected five columns, found {columns}"))?;
    let schemas = engine.list_schemas(&filter).await;
    expect(schemas.len() == 1, || format!("expected one schema, found {schemas:?}"))
}

async fn misspelt(engine: &Engine, session: &Session) -> Result<()> {
    match rows(engine, session, "SELECT * FROM peple").await {
        Ok(_) => Err(Error::internal("a table that does not exist was read")),
        Err(error) => expect(
            error.kind() == ErrorKind::NotFound
                && error.to_string().contains("\"people\"")
                && error.position().is_some(),
            || format!("unhelpful error: {error:?}"),
        ),
    }
}

/// A client that goes away after the plan, or after the first batch, leaves nothing behind.
async fn abandoned(engine: &Engine, session: &Session) -> Result<()> {
    use futures::StreamExt;
    let sql = "SELECT a.id FROM people a, people b, people c, people d";
    let unread = engine.query(session, sql, meesh_engine::Parameters::none()).await?;
    let unread_id = unread.id().clone();
    drop(unread);
    let mut read = engine.query(session, sql, meesh_engine::Parameters::none()).await?;
    let read_id = read.id().clone();
    read.next().await.transpose()?;
    drop(read);
    for id in [unread_id, read_id] {
        let over = engine.query_info(&id).is_some_and(|info| info.state.is_over());
        expect(over, || format!("query {id} is still live"))?;
    }
    Ok(())
}
