//! Small texts that would keep a planner busy, or its stack full: refused by name or planned in time.

use std::time::{Duration, Instant};

use super::{execute, on_big_stack, plan, session};
use crate::{Statement, parse};

/// Parses, and plans what was accepted down to the physical plan. Returns what happened.
fn outcome(sql: String) -> (Result<(), String>, Duration) {
    on_big_stack(move || {
        let start = Instant::now();
        let parsed = parse(&sql);
        let parsing = start.elapsed();
        assert!(parsing < Duration::from_secs(2), "parsing took {parsing:?}: {}", sql.get(..80).unwrap_or_default());
        let query = match parsed {
            Ok(Statement::Query(query)) => query,
            Ok(other) => panic!("{other:?}"),
            Err(error) => return (Err(error.to_string()), parsing),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let session = session();
            let table = "create table a as select * from (values (1, 10, 'x')) as a(k, n, s)";
            execute(&session, table).await;
            let plan = plan(&session, &query).await.unwrap();
            session.state().create_physical_plan(&plan).await.unwrap();
        });
        (Ok(()), start.elapsed())
    })
}

fn accepted(sql: String) {
    let begin = sql.get(..60).unwrap_or(&sql).to_owned();
    let (result, time) = outcome(sql);
    assert!(result.is_ok(), "{begin}: {result:?}");
    assert!(time < Duration::from_secs(20), "{begin}: {time:?}");
}

fn refused(sql: String, part: &str) {
    let begin = sql.get(..60).unwrap_or(&sql).to_owned();
    let (result, _) = outcome(sql);
    let error = result.expect_err(&begin);
    assert!(error.contains("too complex") && error.contains(part), "{begin}: {error}");
}

fn repeated(part: &str, between: &str, count: usize) -> String {
    vec![part; count].join(between)
}

fn numbered(count: usize, between: &str, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(between)
}

#[test]
fn flat_chains() {
    for count in [500, 999] {
        accepted(format!("select {} from a", repeated("k", "+", count)));
        accepted(format!("select {} from a", repeated("s", "||", count)));
    }
    for count in [2_000, 10_000, 15_000] {
        refused(format!("select {}", repeated("1", "+", count)), "operands in one chain");
        refused(format!("select {}", repeated("'a'", "||", count)), "operands in one chain");
    }
    refused(format!("select 1{}", "::bigint".repeat(2_000)), "operators above");
    refused(format!("select a{}", "[1]".repeat(2_000)), "operators above");
    refused(format!("select a{}", " is null".repeat(2_000)), "operators above");
}

#[test]
fn conditions() {
    for count in [2_000, 20_000] {
        accepted(format!("select k from a where {}", numbered(count, " or ", |i| format!("n={i}"))));
        accepted(format!("select k from a where {}", numbered(count, " and ", |i| format!("n<>{i}"))));
    }
    refused(
        format!("select k from a where {}", numbered(30_000, " or ", |i| format!("n={i}"))),
        "conditions in one chain",
    );
}

#[test]
fn set_operations() {
    accepted(repeated("select k, n, s from a", " union all ", 1_000));
    refused(repeated("select 1", " union all ", 8_000), "chain of set operations");
    refused(repeated("select 1", " except ", 4_000), "chain of set operations");
}

#[test]
fn ctes() {
    let chain = |count: usize| {
        let ctes = numbered(count, ", ", |i| match i {
            0 => "c0 as (select * from a)".to_owned(),
            i => format!("c{i} as (select * from c{} where k > {i})", i - 1),
        });
        format!("with {ctes} select * from c{}", count - 1)
    };
    accepted(chain(250));
    refused(chain(5_000), "levels of queries");
    let doubling = |levels: usize| {
        let ctes = numbered(levels, ", ", |i| match i {
            0 => "c0 as (select 1 as x)".to_owned(),
            i => format!("c{i} as (select l.x from c{} l, c{} r)", i - 1, i - 1),
        });
        format!("with {ctes} select * from c{}", levels - 1)
    };
    accepted(doubling(12));
    for levels in [16, 18, 20, 64] {
        refused(doubling(levels), "too complex");
    }
}

#[test]
fn nesting() {
    accepted(format!("select {}1{}", "(".repeat(90), ")".repeat(90)));
    for count in [200, 5_000, 20_000] {
        refused(format!("select {}1", "(".repeat(count)), "nested");
        refused(format!("select {} k from a", "not ".repeat(count)), "nested");
        refused(format!("select {}1", "- ".repeat(count)), "nested");
        refused(format!("select {}", "cast(".repeat(count)), "nested");
        refused(format!("select {}", "case when ".repeat(count)), "nested");
        refused(format!("{}select 1", "(".repeat(count)), "nested");
        refused(format!("select * from {}", "((select * from ".repeat(count)), "nested");
        refused(format!("select * from {}t", "(".repeat(count)), "nested");
        refused(format!("select 1 where a in {}", "((select 1 where a in ".repeat(count)), "nested");
        refused(format!("select {}", "f((x) -> ".repeat(count)), "nested");
        refused(format!("select cast(x as {}", "array(".repeat(count)), "nested");
    }
    // Each left operand holds the next chain: flat in no place, high as a whole.
    let inner = format!("({}+1)", repeated("1", "+", 500));
    let high = (0..50).fold(inner, |expr, _| format!("({expr}+{})", repeated("1", "+", 500)));
    refused(format!("select {high}"), "operators above");
}

/// What takes a parser that goes back exponential time.
#[test]
fn no_reading_is_tried_twice() {
    let deep = |open: &str, close: &str| format!("select {}k{} from", open.repeat(45), close.repeat(45));
    for (open, close) in
        [("cast(", " as bigint)"), ("not (", ")"), ("extract(year from ", ")"), ("((", "))"), ("f(x -> ", ")")]
    {
        let (result, time) = outcome(deep(open, close));
        assert!(result.is_err() && time < Duration::from_millis(500), "{open}: {time:?}");
    }
    for open in ["((select * from ", "(select * from (", "((select 1 where k in "] {
        let (result, time) = outcome(format!("select * from {}", open.repeat(30)));
        assert!(result.is_err() && time < Duration::from_millis(500), "{open}: {time:?}");
    }
    let joins = (0..40)
        .fold("(select 1 as x)".to_owned(), |inner, i| format!("({inner} q{i} cross join (select 1 as x) r{i})"));
    let (result, time) = outcome(format!("select 1 from {joins}"));
    assert!(result.is_ok() && time < Duration::from_secs(10), "{result:?} {time:?}");
}

#[test]
fn lists() {
    accepted(format!("select k from a where k in ({})", numbered(100_000, ",", |i| i.to_string())));
    accepted(format!("select {} from a", numbered(3_000, ",", |i| format!("k+{i}"))));
    accepted(format!("select case {} end from a", numbered(10_000, " ", |i| format!("when k={i} then {i}"))));
    refused(format!("select {}", numbered(20_000, ",", |i| i.to_string())), "columns in one SELECT");
    refused(format!("select count(*) from {}", numbered(200, ",", |i| format!("a t{i}"))), "relations in one FROM");
    refused(
        format!("select {} from a", numbered(300, ",", |i| format!("sum(k+{i}) over (partition by n)"))),
        "window functions",
    );
    refused(format!("select {} from a", numbered(4_000, ",", |i| format!("sum(k+{i})"))), "aggregate functions");
    refused(format!("select * from a order by {}", numbered(3_000, ",", |i| format!("k+{i}"))), "keys in one ORDER BY");
    refused(format!("select {} from a", repeated("(select 1)", ",", 200)), "subqueries");
    refused(format!("select '{}'", "x".repeat(2 << 20)), "bytes of text");
    refused(format!("select {}", repeated("(1)", ",", 120_000)), "tokens");
    refused(format!("select {} from a", numbered(30, ",", |_| repeated("k", "+", 990))), "planning it would take");
}
