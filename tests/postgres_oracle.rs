//! PostgreSQL's own answers to the statements of `tests/slt/*.slt` that read one of its databases and nothing else.
//!
//! The statement goes to PostgreSQL without the catalog's name. Where the dialects differ, a comment above the record
//! says what PostgreSQL is asked instead, or why it is not asked:
//!
//! ```text
//! # postgres: SELECT w FROM words ORDER BY w COLLATE "C"
//! # postgres: none, its names tell upper from lower case
//! ```

use std::collections::BTreeSet;
use std::path::Path;

use arrow::datatypes::{DataType, SchemaRef};
use futures::TryStreamExt;
use meesh_connector_conformance::rows;
use meesh_engine::{Error, Parameters, Session};
use sqllogictest::{DefaultColumnType, Record};

use crate::environment::Environment;

/// Fewer would mean that statements are no longer recognized as PostgreSQL's.
const ASKED_MIN: usize = 40;

#[test]
fn postgresql_gives_the_same_rows() {
    meesh_engine::runtime().expect("a runtime").block_on(async {
        let environment = Environment::start(include_str!("slt/types.sql")).await;
        let (mut asked, mut failures) = (0, Vec::new());
        for file in crate::sql_files::files() {
            asked += check_file(&environment, &file, &mut failures).await;
        }
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
        assert!(asked >= ASKED_MIN, "PostgreSQL was asked only {asked} times");
    });
}

/// Compares the records of a file; how many PostgreSQL was asked.
async fn check_file(environment: &Environment, file: &Path, failures: &mut Vec<String>) -> usize {
    let mut session = Session::new("slt");
    let (mut note, mut asked) = (None, 0);
    for record in sqllogictest::parse_file::<DefaultColumnType>(file).expect("an .slt file") {
        match record {
            Record::Comment(lines) => {
                note =
                    lines.iter().find_map(|line| line.trim().strip_prefix("postgres:").map(|it| it.trim().to_owned()));
            }
            // One that is refused changes nothing; tests/sql_files.rs says whether it should be.
            Record::Statement { sql, .. } => drop(answer(environment, &mut session, &sql).await),
            Record::Query { sql, loc, .. } => {
                let note = note.take();
                let Ok(catalogs) = catalogs_read(environment, &session, &sql).await else { continue };
                let [catalog] = catalogs.as_slice() else { continue };
                let Some(url) = environment.postgres_url(catalog) else { continue };
                if note.as_ref().is_some_and(|note| note.starts_with("none,")) {
                    continue;
                }
                let (schema, ours) =
                    answer(environment, &mut session, &sql).await.unwrap_or_else(|e| panic!("{loc}: {e}"));
                let theirs = note.unwrap_or_else(|| without_catalog(&sql, catalog));
                let path = session.property("schema").unwrap_or_default();
                let theirs = ask(&url, &path, &theirs, schema.fields().len()).await;
                let is_ordered = sql.to_uppercase().contains("ORDER BY");
                let ours = canonical(ours, &schema, is_ordered);
                let theirs = theirs.map(|rows| canonical(rows, &schema, is_ordered));
                asked += 1;
                if theirs.as_ref() != Ok(&ours) {
                    failures.push(format!("{loc}: {sql}\nmeesh says      {ours:?}\nPostgreSQL says {theirs:?}"));
                }
            }
            _ => {}
        }
    }
    asked
}

/// The catalogs whose sources a statement reads, each once; looked at while rows flow, for at its end a query lets go.
async fn catalogs_read(environment: &Environment, session: &Session, sql: &str) -> Result<Vec<String>, Error> {
    let mut stream = environment.engine.query(session, sql, Parameters::none()).await?;
    let mut catalogs = BTreeSet::new();
    while stream.try_next().await?.is_some() {
        catalogs.extend(stream.info().sources.into_iter().map(|source| source.catalog));
    }
    Ok(catalogs.into_iter().collect())
}

/// The columns and the rows; what the statement changes in the session is applied.
async fn answer(
    environment: &Environment,
    session: &mut Session,
    sql: &str,
) -> Result<(SchemaRef, Vec<Vec<String>>), Error> {
    let stream = environment.engine.query(session, sql, Parameters::none()).await?;
    for change in stream.changes() {
        session.apply(change);
    }
    let schema = stream.schema();
    Ok((schema, rows::collect(stream).await?))
}

/// The statement as the database itself knows its tables; texts in quotes stay as they are.
fn without_catalog(sql: &str, catalog: &str) -> String {
    let parts = sql.split('\'').enumerate();
    let cut = |(number, part): (usize, &str)| {
        if number % 2 == 0 { part.replace(&format!("{catalog}."), "") } else { part.to_owned() }
    };
    parts.map(cut).collect::<Vec<_>>().join("'")
}

/// What PostgreSQL answers, each cell as its own JSON has it: times in ISO 8601, booleans in words.
async fn ask(url: &str, schema: &str, sql: &str, columns: usize) -> Result<Vec<Vec<String>>, String> {
    let names: Vec<String> = (0..columns).map(|number| format!("c{number}")).collect();
    let cells: Vec<String> = names.iter().map(|name| format!("to_json({name}) #>> '{{}}'")).collect();
    let wrapped = format!("SELECT {} FROM ({sql}) AS answer({})", cells.join(", "), names.join(", "));
    let output = tokio::process::Command::new("psql")
        .args([url, "-XqAt", "-F", "\u{1f}", "-R", "\u{1e}", "-P", "null=NULL", "-c", &wrapped])
        .env("PGOPTIONS", format!("-c timezone=UTC -c search_path={schema}"))
        .output()
        .await
        .map_err(|error| format!("could not run psql: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // Without rows there is not even the line's end.
    let Some(text) = text.strip_suffix('\n') else { return Ok(Vec::new()) };
    Ok(text.split('\u{1e}').map(|row| row.split('\u{1f}').map(str::to_owned).collect()).collect())
}

/// Rows whose cells are equal if their values are; sorted where the statement leaves the order open.
fn canonical(mut rows: Vec<Vec<String>>, schema: &SchemaRef, is_ordered: bool) -> Vec<Vec<String>> {
    for row in &mut rows {
        for (cell, field) in row.iter_mut().zip(schema.fields()) {
            *cell = canonical_cell(cell, field.data_type());
        }
    }
    if !is_ordered {
        rows.sort();
    }
    rows
}

fn canonical_cell(text: &str, kind: &DataType) -> String {
    let shortest = |text: &str| {
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
        text.to_owned()
    };
    match kind {
        // `inf` and `Infinity`, `1e2` and `100`.
        DataType::Float32 | DataType::Float64 => {
            text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| number.to_string())
        }
        DataType::Decimal128(..) | DataType::Time64(_) => shortest(text),
        DataType::Timestamp(..) => shortest(text.trim_end_matches('Z').trim_end_matches("+00:00")),
        // `[a, b c, NULL]` and `["a","b c",null]`.
        DataType::List(_) => text.replace('"', "").replace(", ", ",").replace("null", "NULL"),
        _ => text.to_owned(),
    }
}
