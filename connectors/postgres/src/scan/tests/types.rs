//! Every type of PostgreSQL's, and the values that Arrow cannot hold.

use super::*;

/// Every type: its PostgreSQL name, literals, and how Arrow shows them.
#[rustfmt::skip]
const TYPES: &[(&str, &[&str], &[&str])] = &[
    ("bool", &["true", "false"], &["true", "false"]),
    ("int2", &["32767", "-32768"], &["32767", "-32768"]),
    ("int4", &["2147483647", "-2147483648"], &["2147483647", "-2147483648"]),
    ("int8", &["9223372036854775807", "-9223372036854775808"], &["9223372036854775807", "-9223372036854775808"]),
    ("oid", &["'4294967295'", "0"], &["4294967295", "0"]),
    ("xid", &["'7'", "'8'"], &["7", "8"]),
    ("float4", &["'NaN'", "'-0'"], &["NaN", "-0.0"]),
    ("float8", &["'-Infinity'", "1e-300"], &["-inf", "1e-300"]),
    ("numeric(15,2)", &["-9999999999999.99", "0.01"], &["-9999999999999.99", "0.01"]),
    ("numeric(40,3)", &["1234567890123456789012345678901234567.125", "-0.5"],
        &["1234567890123456789012345678901234567.125", "-0.500"]),
    ("numeric(5,-2)", &["12345", "-98765"], &["12300", "-98800"]),
    ("numeric", &["1.0000000001", "-1234567890123456789012345678"],
        &["1.0000000001", "-1234567890123456789012345678.0000000000"]),
    ("money", &["12.34", "-0.01"], &["12.34", "-0.01"]),
    ("date", &["'4713-01-01 BC'", "'9999-12-31'"], &["-4712-01-01", "9999-12-31"]),
    ("date", &["'1969-12-31'", "'10000-01-01'"], &["1969-12-31", "+10000-01-01"]),
    ("time", &["'00:00'", "'23:59:59.999999'"], &["00:00:00", "23:59:59.999999"]),
    ("timestamp", &["'1900-01-01 00:00:00.000001'", "'9999-12-31 23:59:59'"],
        &["1900-01-01T00:00:00.000001", "9999-12-31T23:59:59"]),
    ("timestamp", &["'4713-01-01 00:00 BC'", "'100000-01-01'"], &["-4712-01-01T00:00:00", "+100000-01-01T00:00:00"]),
    ("timestamptz", &["'2020-01-01 12:00+02'", "'1960-01-01 00:00+00'"],
        &["2020-01-01T10:00:00Z", "1960-01-01T00:00:00Z"]),
    ("timetz", &["'12:00+02'", "'00:00+00'"], &["12:00:00+02", "00:00:00+00"]),
    ("interval", &["'14 mons -3 days 00:00:01.5'", "'-1 year'"], &["14 mons -3 days 1.500000000 secs", "-12 mons"]),
    ("text", &["''", "'ein Fischotter 🦦 mit mehr als zwölf Zeichen'"],
        &["", "ein Fischotter 🦦 mit mehr als zwölf Zeichen"]),
    ("varchar(20)", &["'a\"b\\c'", "'it''s'"], &["a\"b\\c", "it's"]),
    ("char(6)", &["'ab'", "'  x'"], &["ab", "  x"]),
    ("\"char\"", &["'a'", "'b'"], &["a", "b"]),
    ("name", &["'pg'", "'Größe'"], &["pg", "Größe"]),
    ("json", &["'{\"a\":  1}'", "'null'"], &["{\"a\":  1}", "null"]),
    ("jsonb", &["'{\"a\":  1}'", "'[]'"], &["{\"a\": 1}", "[]"]),
    ("xml", &["'<a>ü</a>'", "'<b/>'"], &["<a>ü</a>", "<b/>"]),
    ("bytea", &["'\\x00ff'", "''"], &["00ff", ""]),
    ("uuid", &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'00000000-0000-0000-0000-000000000000'"],
        &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"]),
    ("inet", &["'10.0.0.1/8'", "'::1'"], &["10.0.0.1/8", "::1/128"]),
    ("cidr", &["'10.0.0.0/8'", "'::/0'"], &["10.0.0.0/8", "::/0"]),
    ("macaddr", &["'08:00:2b:01:02:03'", "'00:00:00:00:00:00'"], &["08:00:2b:01:02:03", "00:00:00:00:00:00"]),
    ("bit(3)", &["B'101'", "B'000'"], &["101", "000"]),
    ("varbit", &["B'1'", "B''"], &["1", ""]),
    ("point", &["'(1.5,-2)'", "'(0,0)'"], &["{x: 1.5, y: -2.0}", "{x: 0.0, y: 0.0}"]),
    ("box", &["'(1,1),(0,0)'", "'(2,2),(0,0)'"], &["(1,1),(0,0)", "(2,2),(0,0)"]),
    ("int4range", &["'[1,5)'", "'empty'"], &["[1,5)", "empty"]),
    ("int4multirange", &["'{[1,5)}'", "'{}'"], &["{[1,5)}", "{}"]),
    ("tsvector", &["'a b'", "''"], &["'a' 'b'", ""]),
    ("pg_lsn", &["'0/1'", "'1/0'"], &["0/1", "1/0"]),
    ("regclass", &["'pg_class'", "'pg_type'"], &["pg_class", "pg_type"]),
    ("int2vector", &["'1 2'", "''"], &["1 2", ""]),
    ("types.mood", &["'sad'", "'not so sad'"], &["sad", "not so sad"]),
    ("types.pair", &["ROW(1,'a b')", "ROW(NULL,NULL)"], &["{a: 1, b: a b}", "{a: NULL, b: NULL}"]),
    ("types.nested", &["ROW(ROW(1,'x'),'{2,3}')", "ROW(NULL,'{}')"],
        &["{p: {a: 1, b: x}, n: [2, 3]}", "{p: NULL, n: []}"]),
    ("types.host", &["ROW(1,'10.0.0.1')", "ROW(NULL,NULL)"], &["(1,10.0.0.1)", "(,)"]),
    ("types.price", &["12.5", "0"], &["12.50", "0.00"]),
    ("types.net", &["12.5", "-1"], &["12.50", "-1.00"]),
    ("int4[]", &["'{1,NULL,3}'", "'{}'"], &["[1, NULL, 3]", "[]"]),
    ("int4[][]", &["'{{1,2},{3,4}}'", "'{}'"], &["[[1, 2], [3, 4]]", "[]"]),
    ("text[]", &["'{a,NULL,\"b c\"}'", "'{}'"], &["[a, NULL, b c]", "[]"]),
    ("numeric(6,2)[]", &["'{1.5,-0.25}'", "'{0}'"], &["[1.50, -0.25]", "[0.00]"]),
    ("timestamptz[]", &["'{2020-01-01 00:00+00}'", "'{}'"], &["[2020-01-01T00:00:00Z]", "[]"]),
    ("uuid[]", &["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", "'{}'"],
        &["[a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]", "[]"]),
    ("jsonb[]", &["ARRAY['{}'::jsonb]", "'{}'"], &["[{}]", "[]"]),
    ("char(3)[]", &["'{a,bc}'", "'{}'"], &["[a, bc]", "[]"]),
    ("inet[]", &["'{10.0.0.1}'", "'{}'"], &["[10.0.0.1/32]", "[]"]),
    ("types.mood[]", &["'{sad}'", "'{}'"], &["[sad]", "[]"]),
    ("types.net[]", &["'{1.5}'", "'{}'"], &["[1.50]", "[]"]),
    ("types.pair[]", &["ARRAY[ROW(1,'x')::types.pair]", "'{}'"], &["[{a: 1, b: x}]", "[]"]),
];

#[tokio::test]
async fn every_type_is_read() {
    shared_server().psql(
        "CREATE SCHEMA types; GRANT USAGE ON SCHEMA types TO PUBLIC; \
         CREATE TYPE types.mood AS ENUM ('sad', 'not so sad'); \
         CREATE TYPE types.pair AS (a int, b text); CREATE TYPE types.nested AS (p types.pair, n int[]); \
         CREATE TYPE types.host AS (a int, h inet); CREATE DOMAIN types.price AS numeric(12,2); \
         CREATE DOMAIN types.net AS types.price CHECK (VALUE > -100)",
    );
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(i, (name, ..))| format!("c{i} {name}")).collect();
    let row = |at: usize| {
        // Set operations compare rows; UNION ALL does not.
        let values: Vec<String> =
            TYPES.iter().map(|(name, literals, _)| format!("({})::{name}", literals[at])).collect();
        format!("SELECT {}", values.join(", "))
    };
    let nulls = vec!["NULL"; TYPES.len()].join(", ");
    let sql = format!("{} UNION ALL {} UNION ALL SELECT {nulls}", row(0), row(1));
    table("every_type", &columns.join(", "), &sql);
    let connector = connector(&[]);
    let plan = whole_table(&connector, "every_type").await;
    let rows = cells(&read(&connector, &plan, 8192).await.unwrap());
    assert_eq!(rows.len(), 3);
    for (index, (name, _, expected)) in TYPES.iter().enumerate() {
        assert_eq!([&rows[0][index], &rows[1][index]], [expected[0], expected[1]], "{name}");
        assert_eq!(rows[2][index], "NULL", "{name}");
    }
    // One row a batch yields the same.
    assert_eq!(cells(&read(&connector, &plan, 1).await.unwrap()), rows);
}

#[tokio::test]
async fn values_that_do_not_fit_name_column_and_remedy() {
    table("unfit", "a numeric, b date, c timestamp, d numeric(5,2), e time", "SELECT NULL, NULL, NULL, NULL, NULL");
    let cases = [
        ("a", "0.00000000001", "value 0.00000000001 has more decimals", "decimal-default-scale"),
        ("a", "1e30", "more digits", "decimal-mapping=ALLOW_OVERFLOW"),
        ("a", "'NaN'", "NaN", "view"),
        ("a", "'Infinity'", "infinite", "view"),
        ("b", "'infinity'", "infinite", "view"),
        ("c", "'-infinity'", "infinite", "view"),
        ("d", "'NaN'", "NaN", "view"),
        ("e", "'24:00'", "out of range", "view"),
    ];
    let connector = connector(&[]);
    let plan = whole_table(&connector, "unfit").await;
    for (column, value, words, remedy) in cases {
        shared_server().psql(&format!(
            "UPDATE unfit SET a = NULL, b = NULL, c = NULL, d = NULL, e = NULL; UPDATE unfit SET {column} = {value}"
        ));
        let error = read(&connector, &plan, 8192).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceData, "{error}");
        let text = error.to_string();
        let place = format!("catalog \"sales\": table \"public\".\"unfit\": column \"{column}\": ");
        assert!(text.starts_with(&place) && text.contains(words) && text.contains(remedy), "{text}");
    }
    shared_server().psql("UPDATE unfit SET a = 2.345, b = NULL, c = NULL, d = NULL, e = NULL");
    let options =
        [("decimal-mapping", "ALLOW_OVERFLOW"), ("decimal-default-scale", "2"), ("decimal-rounding-mode", "HALF_UP")];
    let rounding = self::connector(&options);
    let plan = whole_table(&rounding, "unfit").await;
    assert_eq!(cells(&read(&rounding, &plan, 8192).await.unwrap())[0][0], "2.35");
}
