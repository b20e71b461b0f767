//! Queries through DataFusion: rows and labels.

use super::{check, check_labels, query, run};

#[test]
fn a_list_with_null_is_never_left() {
    check("SELECT k FROM a WHERE k NOT IN (7, NULL) AND k IN (1, 2, 3)", "");
    check(
        "SELECT k IN (1, NULL), k NOT IN (1, CAST(NULL AS integer)), k IN (NULL) FROM a WHERE k < 3 ORDER BY k",
        "true|false|NULL;NULL|NULL|NULL",
    );
}

#[test]
fn labels_are_as_written() {
    for (sql, expected) in [
        ("SELECT 1, 1", "_col0,_col1"),
        ("SELECT k AS Key, N, a.S, n + 1, \"K\" FROM a", "Key,N,S,_col3,K"),
        ("SELECT n, n FROM a", "n,n"),
        ("SELECT (a.N) FROM a", "N"),
        ("SELECT a.k, b.k FROM a JOIN b ON a.k = b.k", "k,k"),
        ("SELECT * FROM (SELECT 1, 2 AS X, 3)", "_col0,X,_col2"),
        ("SELECT *, 1 FROM (SELECT k AS \"Key\" FROM a) q", "Key,_col1"),
        ("SELECT q.*, count(*) AS C FROM (SELECT 1, 2) q GROUP BY 1, 2", "_col0,_col1,C"),
        ("WITH q(A, B) AS (SELECT 1, 2) SELECT * FROM q", "A,B"),
        ("SELECT * FROM (VALUES (1, 2)) AS t(A, b)", "A,b"),
        ("VALUES (1, 2)", "_col0,_col1"),
        ("SELECT N AS A FROM a UNION ALL SELECT 1 AS B", "A"),
        ("SELECT * FROM a", "k,n,s"),
        ("SELECT a.*, b.* FROM a JOIN b ON a.k = b.k", "k,n,s,k,m"),
        ("SELECT *, a.K FROM a", "k,n,s,K"),
        ("SELECT *, n + 1 AS N FROM a", "k,n,s,N"),
        ("SELECT * FROM (SELECT 1), (SELECT 1)", "_col0,_col1"),
        ("TABLE a", "k,n,s"),
    ] {
        check_labels(sql, expected);
    }
}

#[test]
fn names_resolve_without_regard_to_case() {
    check("SELECT \"K\", A.\"n\" FROM \"A\" AS \"A\" WHERE \"a\".K = 1", "1|10");
    check("WITH \"Q\" AS (SELECT 1 AS \"One\") SELECT oNE FROM q", "1");
}

#[test]
fn equal_names_do_not_disturb() {
    check("SELECT 1, 1, 1", "1|1|1");
    check("SELECT count(*), count(*) FROM a ORDER BY count(*)", "3|3");
    check("SELECT DISTINCT s, s FROM a ORDER BY s", "Y|Y;x|x");
    check("SELECT x.k FROM (SELECT a.k, 1, 1 FROM a, b WHERE a.k = b.k) x", "2");
    check("SELECT sum(n), sum(n) FROM a GROUP BY s ORDER BY sum(n) DESC, 1", "20|20;10|10");
    check("SELECT k AS z, n AS k FROM a ORDER BY k", "1|10;2|20;3|NULL");
    check("SELECT *, n + 1 AS m FROM a ORDER BY m DESC", "2|20|Y|21;1|10|x|11;3|NULL|x|NULL");
    assert!(run("SELECT q.n FROM (SELECT n, n FROM a) q").is_err());
}

#[test]
fn cte_scopes() {
    check("WITH q AS (SELECT 1 AS x) SELECT * FROM (WITH q AS (SELECT 2 AS y) SELECT y FROM q) z, q", "2|1");
    check("WITH a AS (SELECT k FROM a WHERE k > 2) SELECT * FROM a", "3");
    check("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT sum(n) FROM r", "10");
    check("WITH \"x.y\" AS (SELECT 7 AS v) SELECT v FROM \"x.y\"", "7");
    let tables = |sql: &str| query(sql).tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    assert_eq!(
        tables("WITH q AS (SELECT * FROM q) SELECT * FROM q, C.S.T, s.t WHERE x IN (SELECT 1 FROM u)"),
        "q,c.s.t,s.t,u"
    );
    assert_eq!(query("SELECT ? + ?, ?").parameters, 3);
    assert_eq!(query("SELECT $2").parameters, 2);
    assert!(query("SELECT \"$path\" FROM t").names_hidden() && !query("SELECT path FROM t").names_hidden());
}

#[test]
fn literals() {
    for (sql, expected) in [
        (
            "SELECT arrow_typeof(1.5), arrow_typeof(1e0), arrow_typeof(.5), arrow_typeof(1.50)",
            "Decimal128(2, 1)|Float64|Decimal128(1, 1)|Decimal128(3, 2)",
        ),
        (
            "SELECT arrow_typeof(DECIMAL '15'), DECIMAL '-1.50', arrow_typeof(DECIMAL '0.005')",
            "Decimal128(2, 0)|-1.50|Decimal128(3, 3)",
        ),
        ("SELECT 1_000 + 0xFF, -9223372036854775808", "1255|-9223372036854775808"),
        ("SELECT U&'\\00e9' || 'it''s', X'00 ff'", "éit's|00ff"),
        (
            "SELECT DATE '2020-01-31' + INTERVAL '1' MONTH, date '2020-01-31' - interval '30 days'",
            "2020-02-29|2020-01-01",
        ),
        ("SELECT TIMESTAMP '2020-01-31 10:20:30' + INTERVAL '1 02:03:04.5' DAY TO SECOND", "2020-02-01T12:23:34.500"),
        (
            "SELECT arrow_typeof(TIMESTAMP '2020-01-31 10:20'), arrow_typeof(TIMESTAMP '2020-01-31 10:20:30.1234')",
            "Timestamp(ms)|Timestamp(µs)",
        ),
        (
            "SELECT TIMESTAMP '2020-07-01 10:00:00 Europe/Paris', arrow_typeof(current_timestamp)",
            "2020-07-01T10:00:00+02:00|Timestamp(ms, \"UTC\")",
        ),
        ("SELECT TIME '10:20:30.5', arrow_typeof(localtime)", "10:20:30.500|Time32(ms)"),
        ("SELECT DOUBLE '1.5', REAL '2.5', BIGINT '7', BOOLEAN 'true', VARCHAR 'x'", "1.5|2.5|7|true|x"),
    ] {
        check(sql, expected);
    }
}

#[test]
fn expressions() {
    for (sql, expected) in [
        ("SELECT 7 / 2, -7 / 2, 7 % 4, 1 + 2 || 'x'", "3|-3|3|3x"),
        ("SELECT NOT 1 = 2 AND 2 BETWEEN 1 AND 3 OR false", "true"),
        ("SELECT s LIKE 'x%', s ILIKE 'y' FROM a WHERE k = 2", "false|true"),
        ("SELECT 'a\\_b' LIKE 'a\\_b', 'a%b' LIKE 'a#%b' ESCAPE '#', 'axb' LIKE 'a#%b' ESCAPE '#'", "true|true|false"),
        ("SELECT 'a\\b' LIKE p FROM (VALUES 'a\\_') t(p)", "true"),
        ("SELECT IF(k > 1, 'big'), IF(k > 1, 'big', 'small') FROM a ORDER BY k LIMIT 1", "NULL|small"),
        ("SELECT CASE k WHEN 1 THEN 'one' ELSE 'more' END FROM a ORDER BY k", "one;more;more"),
        ("SELECT concat('a', NULL, 'b'), concat('a', 'b')", "NULL|ab"),
        (
            "SELECT regexp_replace('banana', 'a', 'o'), regexp_replace('ab', '(a)(b)', '$2$1x'), regexp_replace('aba', 'a')",
            "bonono|bax|b",
        ),
        ("SELECT k IN (1, 2), k IS NOT DISTINCT FROM 1, n IS NULL FROM a WHERE k = 3", "false|false|true"),
        ("SELECT ARRAY[1, 2][2], cardinality(ARRAY[1, 2, 3])", "2|3"),
        (
            "SELECT TRY_CAST('x' AS bigint), TRY(CAST('x' AS integer)), CAST('5' AS integer) + '6'::bigint",
            "NULL|NULL|11",
        ),
        ("SELECT TRIM(BOTH 'x' FROM 'xax'), TRIM('  a '), POSITION('b' IN 'abc')", "a|a|2"),
        ("SELECT count_if(k > 1), count_if(n > 100), every(k > 0), arbitrary(1) FROM a", "2|0|true|1"),
        ("SELECT listagg(s, '-') WITHIN GROUP (ORDER BY k) FROM a", "x-Y-x"),
        ("SELECT array_agg(k ORDER BY k DESC) FILTER (WHERE k > 1) FROM a", "[3, 2]"),
        (
            "SELECT k, sum(k) OVER w, row_number() OVER (ORDER BY k DESC) FROM a WINDOW w AS (ORDER BY k) ORDER BY k",
            "1|1|3;2|3|2;3|6|1",
        ),
        ("SELECT mod(7, 4), date(TIMESTAMP '2020-01-31 10:20:30')", "3|2020-01-31"),
        ("SELECT (SELECT max(k) FROM a), k FROM b WHERE EXISTS (SELECT 1 FROM a WHERE a.k = b.k)", "3|2"),
    ] {
        check(sql, expected);
    }
}

#[test]
fn clauses() {
    for (sql, expected) in [
        ("SELECT k FROM a ORDER BY n DESC, k", "2;1;3"),
        ("SELECT k FROM a ORDER BY k OFFSET 1 ROW LIMIT 1", "2"),
        ("SELECT k FROM a ORDER BY k LIMIT ALL OFFSET 2", "3"),
        ("SELECT k FROM a ORDER BY k FETCH FIRST 2 ROWS ONLY", "1;2"),
        ("VALUES 1, 2, 3", "1;2;3"),
        ("VALUES (1, 'a'), ROW(2, 'b')", "1|a;2|b"),
        ("SELECT s, count(*) FROM a GROUP BY ROLLUP (s) ORDER BY s", "Y|1;x|2;NULL|3"),
        ("SELECT s, count(*) FROM a GROUP BY GROUPING SETS ((s), ()) ORDER BY 1", "Y|1;x|2;NULL|3"),
        ("SELECT s, k % 2, count(*) FROM a GROUP BY (s, k % 2) ORDER BY 1", "Y|0|1;x|1|2"),
        ("SELECT k FROM a WHERE k > 1 UNION SELECT k FROM b EXCEPT SELECT 4 ORDER BY k", "2;3"),
        ("(SELECT k FROM a) INTERSECT (SELECT k FROM b)", "2"),
        ("SELECT * FROM ((SELECT 1 AS x UNION ALL (SELECT 2)) UNION ALL SELECT 3) q ORDER BY x", "1;2;3"),
        ("SELECT count(*) FROM ((a JOIN b ON a.k = b.k) CROSS JOIN (SELECT 1) z)", "1"),
        ("SELECT a.k FROM (a) WHERE a.k = 1", "1"),
        ("SELECT x FROM UNNEST(ARRAY[1, 2]) AS u(x)", "1;2"),
        ("SELECT a.k, z.m FROM a, LATERAL (SELECT m FROM b WHERE b.k = a.k) z", "2|200"),
        ("SELECT s FROM a GROUP BY s HAVING count(*) > 1", "x"),
    ] {
        check(sql, expected);
    }
}

#[test]
fn using_takes_the_column_that_is_not_null() {
    for (sql, expected) in [
        ("SELECT * FROM b JOIN a USING (k)", "2|200|20|Y"),
        ("SELECT k, m FROM a LEFT JOIN b USING (k) ORDER BY k", "1|NULL;2|200;3|NULL"),
        ("SELECT k, n, m FROM a RIGHT JOIN b USING (k) ORDER BY k", "2|20|200;4|NULL|400"),
        ("SELECT * FROM a FULL JOIN b USING (k) ORDER BY k", "1|10|x|NULL;2|20|Y|200;3|NULL|x|NULL;4|NULL|NULL|400"),
        ("SELECT k FROM a FULL JOIN b USING (K) WHERE k > 2 GROUP BY k ORDER BY k DESC", "4;3"),
        ("SELECT k, x.m, y.m FROM a JOIN b x USING (k) JOIN b y USING (k)", "2|200|200"),
        ("SELECT * FROM a JOIN b x USING (k) JOIN b y USING (k)", "2|20|Y|200|200"),
        ("SELECT count(*) FROM a JOIN b ON true JOIN (SELECT 10 AS n) c USING (n)", "2"),
    ] {
        check(sql, expected);
    }
    check_labels("SELECT * FROM a FULL JOIN b USING (K)", "k,n,s,m");
    check_labels("SELECT K FROM a FULL JOIN b USING (k)", "K");
    assert!(run("SELECT * FROM a JOIN b ON true FULL JOIN b c USING (m)").is_err());
}
