//! The same rows with pushdown on and off.

use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use meesh_connector_spi::Verdict;

use super::*;
use crate::quote::quote_text;

const COLUMNS: &str = "id bigint PRIMARY KEY, n int, s smallint, price numeric(12,2), bare numeric, name text, \
    code char(8), cc text COLLATE \"C\", loose text COLLATE \"und-ci\", mood text, u uuid, j jsonb, day date, \
    at timestamp, atz timestamptz, f4 real, f8 float8, ok bool, tags int[], ip inet, b bytea";

/// Awkward values: NULLs everywhere, letters of both cases and beyond ASCII, blanks, backslashes, -0, NaN.
const ROWS: &str = "SELECT i, nullif(i % 7, 3), (i % 5)::int2, nullif(i % 11, 5) * 1.25, i * 0.5, \
    nullif((ARRAY['a', 'B', 'b', 'Ä', 'ä', 'z', '', ' a', 'a ', '\\', '%', 'a_b', 'skip'])[1 + i % 13], 'skip'), \
    (ARRAY['ab', 'ab ', ' ab', '', 'AB', NULL])[1 + i % 6], (ARRAY['a', 'B', 'é', 'é', NULL])[1 + i % 5], \
    (ARRAY['a', 'A', 'b'])[1 + i % 3], (ARRAY['sad', 'ok'])[1 + i % 2], \
    ('00000000-0000-0000-0000-0000000000' || lpad((i % 16)::text, 2, '0'))::uuid, ('{\"k\": ' || i % 3 || '}')::jsonb, \
    date '1970-01-01' + (i % 900 - 300) * 97, timestamp '1969-12-31 23:00' + (i % 50) * interval '13 hours 7 seconds', \
    timestamptz '2001-01-01 00:30+02' + (i % 40) * interval '17 days', \
    (ARRAY['1.5', '0.1', '-0', '0', 'NaN', NULL, '-3'])[1 + i % 7]::real, \
    (ARRAY['1.5', '0.1', '-0', '0', 'NaN', 'Infinity', '-3'])[1 + i % 7]::float8, \
    nullif(i % 3, 2) = 1, ARRAY[i, NULL, 2], ('10.0.0.' || i % 9)::inet, decode(lpad(to_hex(i % 300), 4, '0'), 'hex') \
    FROM generate_series(1, 400) i";

/// Conditions that are pushed whole.
#[rustfmt::skip]
const PUSHED: &[&str] = &[
    "id = 5", "id <> 5", "n IS NULL", "n IS NOT NULL AND s < 3", "n = 2 OR n IS NULL", "NOT (n = 2)",
    "s IN (1, 2, 9)", "n NOT IN (1, 2)", "price > 5", "price = 2.5", "price * 2 > 7.5", "price + n > 9",
    "bare < 17.25", "bare = 3.5", "name = 'a'", "name <> 'a'", "name < 'b'", "name >= 'Ä'",
    "name BETWEEN 'A' AND 'z'", "name IN ('a', 'ä', ' a')", "name LIKE 'a%'", "name LIKE '%\\%'", "name LIKE '_'",
    "name NOT LIKE '%a%'", "name = '\\'", "name = ''", "code = 'ab'", "code = 'ab '", "code < 'ab'", "code LIKE 'ab'",
    "code = cc", "cc > 'a'", "cc = 'é'", "loose = 'a'", "loose < 'a'", "loose LIKE 'A%'", "loose = name",
    "mood = 'sad'", "u = '00000000-0000-0000-0000-000000000007'", "u > '00000000-0000-0000-0000-000000000007'",
    "u IN ('00000000-0000-0000-0000-000000000007', 'x')", "j = '{\"k\": 1}'", "day < date '1960-06-01'",
    "day = date '1970-01-01'", "at >= timestamp '1970-01-05 00:00:07'", "atz < timestamp '2001-06-01 00:00:00+00'",
    "f4 = 1.5", "f4 > 0.05", "f8 <> 0.1", "f8 >= -3.0", "f8 < 5.0", "ok", "NOT ok", "ok IS NOT TRUE", "ok = false",
    "tags IS NULL", "ip = '10.0.0.3/32'", "b = X'0007'", "b > X'0100'", "n + s > 5", "n - s < 0", "n * s = 4",
    "n / 2 = 1", "n % 3 = 1", "-n < -3", "date_part('year', day) = 1969", "date_part('month', day) > 6",
    "date_part('dow', day) = 0", "date_part('doy', day) < 50", "date_part('hour', at) = 23",
    "date_part('minute', atz) = 30", "date_part('quarter', day) = 2", "date_part('day', at) = 1",
    "date_trunc('week', at) = timestamp '1970-01-05 00:00:00'",
    "date_trunc('month', atz) < timestamp '2002-01-01 00:00:00+00'", "CASE WHEN n > 3 THEN s ELSE n END = 2",
    "coalesce(name, cc, mood) < 'b'", "nullif(n, 2) IS NULL", "n IS DISTINCT FROM 2",
    "name IS NOT DISTINCT FROM 'a'", "cast(n AS bigint) = id", "cast(id AS decimal(20,0)) < bare",
    "cast(at AS date) = day", "cast(atz AS date) > day", "cast(n AS varchar) = '2'",
    "arrow_cast(day, 'Timestamp(Microsecond, None)') < at", "day + interval '1' month > date '1980-01-31'", "1 = 2",
    "n = NULL", "substr(name, 1, 1) = 'a'", "substr(name, 2) < 'b'", "substr(code, 2, 0) = ''", "character_length(name) = 2",
    "name || cc = 'aB'", "name || 'x' LIKE 'Ä%'", "cc || name > 'a'",
];

/// Conditions that stay local: the answers would differ, or might.
const LOCAL: &[&str] = &[
    "f8 = 0.0",
    "lower(name) = 'a'",
    "name ILIKE 'A'",
    "name ~ 'a.*b|c'",
    "f4 < f8",
    "id / s = 2",
    "n / s = 1",
    "substr(name, -1) = 'a'",
];

/// Whole queries that are pushed as they are: joins, groups, sets and first rows.
#[rustfmt::skip]
const FRAGMENTS: &[&str] = &[
    "SELECT count(*) FROM t", "SELECT count(NULL) FROM t", "SELECT count(1 + NULL) FROM t WHERE id < 0", "SELECT count(n), count(name), count(j), count(tags) FROM t",
    "SELECT sum(id), sum(n), sum(s), avg(n), min(n), max(id) FROM t WHERE id < 0",
    "SELECT n, count(*), count(DISTINCT s), sum(s), sum(id), min(name), max(name), max(day), min(atz) FROM t GROUP BY n",
    "SELECT name, count(*), min(u), max(code), min(mood) FROM t GROUP BY name",
    "SELECT loose, count(*) FROM t GROUP BY loose", "SELECT code, u, count(DISTINCT name) FROM t GROUP BY code, u",
    "SELECT mood, bool_and(ok), bool_or(n > 3), min(price), max(bare), avg(f8) FROM t WHERE id < 4 GROUP BY mood",
    "SELECT n, sum(s) FILTER (WHERE ok), count(*) FILTER (WHERE name > 'b') FROM t GROUP BY n HAVING count(*) > 30",
    "SELECT n + s, count(*) FROM t GROUP BY n + s", "SELECT 'x', count(*) FROM t GROUP BY 1",
    "SELECT DISTINCT name, n FROM t", "SELECT DISTINCT loose, cc, j FROM t",
    "SELECT n, rows FROM (SELECT n, count(*) AS rows FROM t GROUP BY n) WHERE rows > 20",
    "SELECT a.id, b.id, b.name FROM t a JOIN t b ON a.id = b.n",
    "SELECT a.id, b.id FROM t a JOIN t b ON a.name = b.cc AND a.id < b.id AND b.s > 1",
    "SELECT a.loose, b.name FROM t a JOIN t b ON a.loose = b.name WHERE a.id < 20",
    "SELECT a.id, b.id FROM t a JOIN t b ON a.u = b.u AND a.code = b.code WHERE b.id < 50",
    "SELECT a.id, b.name FROM t a LEFT JOIN (SELECT * FROM t WHERE s = 2 AND id < 9) b ON a.n = b.id",
    "SELECT a.id, b.name FROM t a LEFT JOIN t b ON a.n = b.id AND a.s > b.s",
    "SELECT a.id, b.name FROM (SELECT * FROM t WHERE id < 9) a RIGHT JOIN t b ON a.id = b.n AND b.ok",
    "SELECT a.id, b.id FROM (SELECT * FROM t WHERE id < 9) a FULL JOIN (SELECT * FROM t WHERE n > 2) b ON a.id = b.n",
    "SELECT count(*), sum(a.s * b.n) FROM t a, t b WHERE a.n < b.s",
    "SELECT a.n, b.s FROM (SELECT n FROM t WHERE id < 5) a CROSS JOIN (SELECT s FROM t WHERE id < 4) b",
    "SELECT id FROM t WHERE n IN (SELECT s FROM t WHERE id < 20)",
    "SELECT id FROM t WHERE n NOT IN (SELECT s FROM t WHERE id < 4)",
    "SELECT id FROM t WHERE s NOT IN (SELECT n FROM t)", "SELECT id FROM t WHERE n NOT IN (SELECT s FROM t WHERE id < 0)",
    // Lists that are too long to be run through.
    "SELECT id FROM t WHERE n NOT IN (SELECT s FROM t UNION ALL SELECT s FROM t UNION ALL SELECT s FROM t UNION ALL SELECT s FROM t)",
    "SELECT id FROM t WHERE n NOT IN (SELECT s FROM t UNION ALL SELECT s FROM t UNION ALL SELECT s FROM t UNION ALL SELECT n FROM t)",
    "SELECT id FROM t WHERE n NOT IN (SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0 UNION ALL SELECT s FROM t WHERE id < 0)",
    "SELECT id FROM t WHERE name IN (SELECT cc FROM t)", "SELECT id FROM t WHERE name NOT IN (SELECT mood FROM t)",
    "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM t b WHERE b.n = t.s AND b.id > t.id + 100)",
    "SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM t b WHERE b.n = t.s AND b.name < t.name)",
    "SELECT id FROM t WHERE n IN (SELECT s FROM t WHERE id < 2) OR ok",
    "SELECT name FROM t UNION ALL SELECT cc FROM t", "SELECT u FROM t UNION SELECT code FROM t",
    "SELECT name FROM (SELECT name FROM t UNION ALL SELECT mood FROM t) WHERE name < 'b'",
    "SELECT n FROM t INTERSECT SELECT s FROM t", "SELECT n, name FROM t EXCEPT SELECT s, cc FROM t",
    "SELECT id, name FROM t ORDER BY name, id DESC LIMIT 7", "SELECT id, n FROM t ORDER BY n DESC NULLS LAST, id LIMIT 5",
    "SELECT id, n FROM t ORDER BY n NULLS FIRST, id LIMIT 60", "SELECT id, code FROM t ORDER BY code DESC, id LIMIT 9",
    "SELECT id, f8 FROM t ORDER BY f8 DESC, id LIMIT 30", "SELECT id + 1, mood FROM t ORDER BY mood, u, id LIMIT 11",
    "SELECT n, rows FROM (SELECT n, count(*) AS rows FROM t GROUP BY n) ORDER BY rows DESC, n LIMIT 3",
    "SELECT count(*) FROM (SELECT * FROM t ORDER BY id LIMIT 10) WHERE s = 1",
    "SELECT a.name, count(*) FROM t a JOIN t b ON a.id = b.n JOIN t c ON c.id = a.s GROUP BY a.name HAVING sum(c.s) > 3",
    "SELECT a.id FROM t a JOIN (SELECT n, max(id) AS id FROM t GROUP BY n) b ON a.id = b.id",
    "SELECT id FROM t WHERE n = (SELECT max(s) FROM t)", "SELECT id FROM t WHERE name > (SELECT min(name) FROM t WHERE id < 0)",
    "SELECT n, count(*) FROM t GROUP BY n HAVING count(*) > (SELECT count(*) FROM t WHERE ok) / 7",
    "SELECT id, sum(s) OVER (PARTITION BY n ORDER BY id), count(*) OVER (PARTITION BY name) FROM t",
    "SELECT id, min(name) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) FROM t WHERE s < 4",
    "SELECT id, sum(id) OVER (ORDER BY n NULLS FIRST), max(day) OVER () FROM t",
    "SELECT id, count(*) FILTER (WHERE ok) OVER (ORDER BY name, id GROUPS 1 PRECEDING) FROM t",
    "SELECT name, sum(rows) OVER (ORDER BY name) FROM (SELECT name, count(*) AS rows FROM t GROUP BY name)",
];

/// Whole queries some part of which stays local, and why.
const KEPT: &[(&str, &str)] = &[
    ("SELECT f8, count(*) FROM t GROUP BY f8", "NaN and -0"),
    ("SELECT max(f8) FROM t", "NaN"),
    ("SELECT tags, count(*) FROM t GROUP BY tags", "equality"),
    ("SELECT median(n) FROM t", "computed locally"),
    ("SELECT a.id FROM t a JOIN t b ON a.f8 = b.f8", "NaN and -0"),
    ("SELECT a.id FROM t a FULL JOIN t b ON a.n < b.n", "full join"),
    ("SELECT n, s, count(*) FROM t GROUP BY ROLLUP (n, s)", "grouping sets"),
    (
        "SELECT id FROM t WHERE ok OR EXISTS (SELECT 1 FROM t b WHERE b.n = t.s AND b.id > t.id + 100)",
        "EXISTS as a value",
    ),
    ("SELECT id FROM t ORDER BY tags LIMIT 1", "order"),
    ("SELECT id, sum(f8) OVER (ORDER BY id) FROM t", "floats"),
    ("SELECT id, lag(n) OVER (ORDER BY id) FROM t", "computed locally"),
    ("SELECT id, sum(n) OVER (ORDER BY s RANGE 1 PRECEDING) FROM t", "a frame of values"),
];

struct Both {
    connector: PostgresConnector,
    remote: SessionContext,
    local: SessionContext,
}

/// The same table twice: in PostgreSQL, and its rows in memory.
async fn both(name: &str) -> Both {
    let connector = connector(&[]);
    let config = || SessionConfig::new().with_target_partitions(1);
    let (remote, local) = (SessionContext::new_with_config(config()), SessionContext::new_with_config(config()));
    let table = provider(&connector, name).await;
    remote.register_table("t", Arc::clone(&table)).unwrap();
    let rows = read(&connector, &whole_table(&connector, name).await, 8192).await.unwrap();
    local.register_table("t", Arc::new(MemTable::try_new(table.schema(), vec![rows]).unwrap())).unwrap();
    Both { connector, remote, local }
}

impl Both {
    async fn plan(&self, sql: &str) -> LogicalPlan {
        let planned = self.remote.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        planned.into_optimized_plan().unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Holds the answers against each other; `sql` must be taken whole.
    async fn compare(&self, sql: &str) -> std::result::Result<(), String> {
        let plan = self.plan(sql).await;
        if matches!(plan, LogicalPlan::EmptyRelation(_)) {
            return Ok(());
        }
        if let Verdict::No(reason) = self.connector.classify(&plan) {
            return Err(format!("local: {reason}"));
        }
        let pushed = read(&self.connector, &plan, 8192).await.map_err(|error| error.to_string())?;
        let stream = self.local.sql(sql).await.unwrap().execute_stream().await.unwrap();
        let here = stream.map(|batch| batch.map_err(|error| error.to_string())).collect::<Vec<_>>().await;
        let here = here.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
        let (mut pushed, mut here) = (cells(&pushed), cells(&here));
        pushed.sort();
        here.sort();
        let only = |a: &[Vec<String>], b: &[Vec<String>]| a.iter().find(|row| !b.contains(row)).cloned();
        match pushed == here {
            true => Ok(()),
            false => Err(format!(
                "{} rows pushed, {} here; only pushed {:?}, only here {:?}",
                pushed.len(),
                here.len(),
                only(&pushed, &here),
                only(&here, &pushed)
            )),
        }
    }

    /// Holds the answers to every question against each other.
    async fn check(&self, questions: impl IntoIterator<Item = String>) {
        let mut wrong = Vec::new();
        for sql in questions {
            if let Err(what) = self.compare(&sql).await {
                wrong.push(format!("{sql}\n  {what}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[tokio::test]
async fn pushed_rows_are_local_rows() {
    shared_server().psql(
        "CREATE COLLATION IF NOT EXISTS public.\"und-ci\" \
         (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    );
    table("awkward", COLUMNS, ROWS);
    let both = both("awkward").await;
    let forms = |condition: &&str| {
        [
            format!("SELECT * FROM t WHERE {condition}"),
            format!("SELECT id FROM t WHERE ({condition}) IS NOT TRUE"),
            format!("SELECT id, ({condition}) AS answer FROM t"),
        ]
    };
    both.check(PUSHED.iter().flat_map(forms)).await;
    // Two at a time, in an order without a pattern.
    let pairs = (0..PUSHED.len()).map(|first| (PUSHED[first], PUSHED[(first * 37 + 11) % PUSHED.len()]));
    both.check(pairs.map(|(a, b)| format!("SELECT id FROM t WHERE NOT ({a}) OR (({b}) AND id > 9)"))).await;
    for condition in LOCAL {
        let plan = both.plan(&format!("SELECT id FROM t WHERE {condition}")).await;
        assert!(matches!(both.connector.classify(&plan), Verdict::No(_)), "{condition}");
    }
    both.check(FRAGMENTS.iter().map(|sql| (*sql).to_owned())).await;
    for (sql, part) in KEPT {
        match both.connector.classify(&both.plan(sql).await) {
            Verdict::No(reason) => assert!(reason.contains(part), "{sql}: {reason}"),
            Verdict::Yes => panic!("{sql}: taken"),
        }
    }
    let projections = [
        "SELECT id, n + 1, price * price, name, f8, tags FROM t",
        "SELECT u, code, j, ip, atz, coalesce(code, name) FROM t",
        "SELECT a + 1 FROM (SELECT id, n + s AS a FROM t WHERE n IS NOT NULL) WHERE a > 4 AND id > 20",
        "SELECT date_part('year', day), date_trunc('quarter', at), cast(id AS varchar) FROM t",
    ];
    both.check(projections.map(str::to_owned)).await;
}

#[tokio::test]
async fn years_before_christ_count_alike() {
    table(
        "bc",
        "day date, at timestamp",
        "SELECT d, d FROM unnest(ARRAY['0001-01-01 BC','0005-12-31 BC','0001-01-01']::date[]) d",
    );
    let both = both("bc").await;
    let questions = [
        "SELECT date_part('year', day), date_part('year', at), date_part('month', day) FROM t",
        "SELECT day FROM t WHERE day < date '0001-01-01'",
    ];
    both.check(questions.map(str::to_owned)).await;
}

#[tokio::test]
async fn a_composite_of_nulls_is_no_null() {
    shared_server().psql("CREATE TYPE public.two AS (a int, b text); GRANT USAGE ON TYPE public.two TO PUBLIC");
    table("composed", "id int, t public.two", "VALUES (1, ROW(1, 'x')::public.two), (2, ROW(NULL, NULL)), (3, NULL)");
    let both = both("composed").await;
    let questions = ["SELECT id FROM t WHERE t IS NULL", "SELECT id FROM t WHERE t IS NOT NULL", "SELECT t FROM t"];
    both.check(questions.map(str::to_owned)).await;
}

/// NaN with a sign is what some computations leave; PostgreSQL knows one NaN, above every number.
#[tokio::test]
async fn every_nan_is_above_every_number() {
    table(
        "nans",
        "f8 float8, f4 float4",
        "VALUES ('Infinity'::float8 - 'Infinity'::float8, '-NaN'), ('NaN', 'NaN'), (1, 1)",
    );
    let both = both("nans").await;
    let conditions = ["f8 > 5.0", "f8 < 5.0", "f4 > 5.0", "f4 >= 1.0"];
    both.check(conditions.map(|condition| format!("SELECT f8, f4 FROM t WHERE {condition}"))).await;
}

#[tokio::test]
async fn names_of_any_kind_are_quoted() {
    let long = "n".repeat(63);
    let names = ["\"; drop table x;--", "select", "ÄÖ ü", "a.b", "$$", r"\'", long.as_str()];
    let columns: Vec<String> = names.iter().map(|name| format!("{} int", meesh_base::quote_identifier(name))).collect();
    let odd = "\"od\"\"d; --\"";
    shared_server().psql(&format!(
        "CREATE TABLE public.{odd} ({}); INSERT INTO public.{odd} VALUES (1, 2, 3, 4, 5, 6, 7); \
         GRANT SELECT ON public.{odd} TO PUBLIC",
        columns.join(", ")
    ));
    let connector = connector(&[]);
    let plan = whole_table(&connector, "od\"d; --").await;
    assert_eq!(cells(&read(&connector, &plan, 8192).await.unwrap()), [["1", "2", "3", "4", "5", "6", "7"]]);
    for (index, name) in names.iter().enumerate() {
        assert_eq!(plan.schema().field(index).name(), name);
    }
}

#[tokio::test]
async fn texts_of_any_kind_are_literals() {
    let values = ["\"; drop table x;--", r"\'", "'; select 1;--", "$$", "🦦", r"\\", "E'", "%", "\n\r\t"];
    let quoted: Vec<String> = values.iter().map(|value| format!("({})", quote_text(value))).collect();
    table("texts", "v text", &format!("VALUES {}", quoted.join(", ")));
    let both = both("texts").await;
    both.check(values.map(|value| format!("SELECT v FROM t WHERE v = '{}'", value.replace('\'', "''")))).await;
}
