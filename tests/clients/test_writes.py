"""Statements that write: every kind, compared with PostgreSQL's own answer on a copy, and killed at any moment."""

import datetime
import os
import random
import subprocess
import threading
import time
from decimal import Decimal

import pytest

from support.adbc import connect, status_and_message
from support.meesh import postgres_catalog, s3_catalog, serving
from support.postgres import PASSWORD, Postgres, bin_dir

# How often a write is killed; 100 for the whole proof.
KILLS = int(os.environ.get("MEESH_TEST_KILLS", "10"))

SETUP = f"""
CREATE ROLE meesh_writer LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE meesh_reader LOGIN PASSWORD '{PASSWORD}';
GRANT ALL ON DATABASE store TO meesh_writer;
GRANT ALL ON SCHEMA public TO meesh_writer;
"""

ITEMS = """
CREATE TABLE {name} (id integer PRIMARY KEY, kind text, price numeric(12, 2), stock bigint, seen date);
INSERT INTO {name}
SELECT g, (ARRAY['a', 'b', 'c', NULL])[g % 4 + 1], g * 1.25, NULLIF(g % 7, 0), DATE '2024-01-01' + g
FROM generate_series(1, 200) g;
"""


@pytest.fixture(scope="module")
def store():
    server = Postgres("store")
    try:
        server.start()
        server.psql("CREATE DATABASE store; CREATE DATABASE other")
        server.psql(SETUP, database="store")
        server.psql("CREATE TABLE gone AS SELECT g AS id FROM generate_series(1, 200, 3) g;"
                    "GRANT SELECT ON gone TO meesh_reader", database="other")
        yield server
    finally:
        server.destroy()


def writable(store, database="store", **more):
    return postgres_catalog(store, database, **{"connection-user": "meesh_writer", "writes-enabled": "true", **more})


@pytest.fixture(scope="module")
def meesh(store, fake_s3):
    catalogs = {
        "store": writable(store),
        "strict": postgres_catalog(store, "store"),
        "hurried": writable(store, **{"statement-timeout": "700ms"}),
        "other": postgres_catalog(store, "other"),
        "lake": s3_catalog(fake_s3.endpoint),
    }
    with serving(catalogs) as server:
        yield server


def run(uri: str, text: str) -> list[tuple]:
    """Runs a statement; its rows, or the one that counts them."""
    with connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        found = cursor.fetchall()
        return found if cursor.description else [(cursor.rowcount,)]


@pytest.fixture
def sql(meesh):
    """Runs a statement; its rows, or how many it was about."""
    return lambda text: run(meesh.uri, text)


@pytest.fixture
def psql(store):
    return lambda text: store.psql(text, database="store")


@pytest.fixture
def items(psql):
    """Two equal tables: meesh changes one, PostgreSQL the other."""
    for name in ["items", "copy_of_items"]:
        psql(f"DROP TABLE IF EXISTS {name};" + ITEMS.format(name=name) + f"ALTER TABLE {name} OWNER TO meesh_writer")
    yield
    psql("DROP TABLE IF EXISTS items, copy_of_items CASCADE")


def refused(meesh, text: str) -> tuple[str, str]:
    with pytest.raises(Exception) as raised:
        run(meesh.uri, text)
    return status_and_message(raised.value)


def table(psql, name: str) -> str:
    return psql(f"SELECT * FROM {name} ORDER BY 1")


# Definitions


def test_schemas_and_tables_come_and_go(sql, psql):
    assert sql("CREATE SCHEMA store.shop") == [(0,)]
    assert sql("CREATE SCHEMA IF NOT EXISTS store.shop") == [(0,)]
    sql("""CREATE TABLE store.shop.t (
        a bigint NOT NULL COMMENT 'the key', b integer, c smallint, d tinyint, e boolean, f real, g double,
        h decimal(12, 2), i varchar, j varchar(5), k char(3), l varbinary, m date, n time(3), o timestamp(6),
        p timestamp(9) with time zone, q uuid, r json, s array(bigint)
    ) COMMENT 'it''s "new"'""")
    types = psql("SELECT string_agg(format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN '!' ELSE '' END, ', '"
                 " ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'shop.t'::regclass AND attnum > 0")
    assert types == ("bigint!, integer, smallint, smallint, boolean, real, double precision, numeric(12,2), "
                     "character varying, character varying(5), character(3), bytea, date, time(3) without time zone, "
                     "timestamp(6) without time zone, timestamp(6) with time zone, uuid, jsonb, bigint[]")
    assert psql("SELECT obj_description('shop.t'::regclass), col_description('shop.t'::regclass, 1)") \
        == "it's \"new\"|the key"
    assert sql("CREATE TABLE IF NOT EXISTS store.shop.t (x bigint)") == [(0,)]
    sql("ALTER TABLE store.shop.t ADD COLUMN extra varchar(7) COMMENT 'added'")
    sql("ALTER TABLE store.shop.t ADD COLUMN IF NOT EXISTS extra bigint")
    sql("ALTER TABLE store.shop.t RENAME COLUMN extra TO \"more; DROP TABLE x\"")
    sql("ALTER TABLE store.shop.t DROP COLUMN b")
    sql("ALTER TABLE store.shop.t DROP COLUMN IF EXISTS b")
    sql("ALTER TABLE IF EXISTS store.shop.nothing DROP COLUMN b")
    sql("COMMENT ON TABLE store.shop.t IS NULL")
    sql("COMMENT ON COLUMN store.shop.t.a IS 'other'")
    assert psql("SELECT obj_description('shop.t'::regclass), col_description('shop.t'::regclass, 1)") == "|other"
    names = psql("SELECT string_agg(attname, ',') FROM pg_attribute WHERE attrelid = 'shop.t'::regclass AND attnum > 0"
                 " AND NOT attisdropped AND attname NOT IN ('c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n')")
    assert names == "a,o,p,q,r,s,more; drop table x"
    sql("ALTER TABLE store.shop.t RENAME TO store.shop.u")
    sql("ALTER TABLE store.shop.u RENAME TO store.public.moved")
    assert psql("SELECT 'public.moved'::regclass") == "moved"
    sql("DROP TABLE store.public.moved")
    assert sql("DROP TABLE IF EXISTS store.public.moved") == [(0,)]
    sql("CREATE TABLE store.shop.\"Odd \"\"name\" (a bigint)")
    sql("DROP SCHEMA store.shop CASCADE")
    assert sql("DROP SCHEMA IF EXISTS store.shop") == [(0,)]
    assert psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'shop'") == "0"


def test_definitions_are_refused_with_a_reason(meesh, items):
    for text, status, part in [
        ("CREATE TABLE store.public.items (a bigint)", "AlreadyExists", "already exists"),
        ("CREATE TABLE store.nothing.t (a bigint)", "NotFound", "schema"),
        ("CREATE TABLE store.public.t (a bigint, a integer)", "InvalidArgument", "specified more than once"),
        ("CREATE TABLE store.public.t (a bigint) WITH (format = 'ORC')", "InvalidArgument", "\"format\""),
        ("CREATE TABLE store.public.t (a biginteger)", "InvalidArgument", "unknown type"),
        ("DROP TABLE store.public.nothing", "NotFound", "nothing"),
        ("DROP SCHEMA store.nothing", "NotFound", "schema"),
        ("ALTER TABLE store.public.items DROP COLUMN nothing", "NotFound", "nothing"),
        ("ALTER TABLE store.public.items ADD COLUMN kind bigint", "AlreadyExists", "column"),
        ("ALTER TABLE store.public.items SET PROPERTIES x = 1", "Unimplemented", "ALTER TABLE"),
        ("CREATE TABLE store.information_schema.t (a bigint)", "Unimplemented", "cannot be written to"),
        ("DROP TABLE system.runtime.queries", "Unimplemented", "cannot be written to"),
    ]:
        found = refused(meesh, text)
        assert found[0] == status and part in found[1], (text, found)


def test_a_view_is_what_postgresql_can_compute(sql, psql, meesh, items):
    sql("CREATE VIEW store.public.cheap COMMENT 'below 10' AS "
        "SELECT kind, count(*) AS n, max(price) AS \"Dearest\" FROM store.public.items WHERE price < 100 GROUP BY kind")
    assert sorted(map(str, sql("SELECT * FROM store.public.cheap"))) == sorted(
        map(str, sql("SELECT kind, count(*), max(price) FROM store.public.items WHERE price < 100 GROUP BY kind")))
    assert psql("SELECT obj_description('cheap'::regclass)") == "below 10"
    sql("CREATE OR REPLACE VIEW store.public.cheap AS "
        "SELECT kind, count(*) AS n, min(price) AS \"Dearest\" FROM store.public.items GROUP BY kind")
    assert refused(meesh, "CREATE VIEW store.public.cheap AS SELECT 1 AS a FROM store.public.items")[0] == "AlreadyExists"
    for query, part in [
        ("SELECT i.id FROM store.public.items i JOIN other.public.gone g ON i.id = g.id", "cannot compute"),
        ("SELECT id, current_date AS d FROM store.public.items", "would be computed once"),
        ("SELECT id + 1 FROM store.public.items", "name not specified"),
    ]:
        assert part in refused(meesh, f"CREATE VIEW store.public.v AS {query}")[1], query
    assert refused(meesh, "INSERT INTO store.public.cheap VALUES ('x', 1, 1.0)")[0] == "Unimplemented"
    sql("DROP VIEW store.public.cheap")
    assert psql("SELECT to_regclass('cheap')") == ""


# New rows


def test_insert_values_and_select(sql, psql, items):
    assert sql("INSERT INTO store.public.items VALUES (1001, 'x', 1.5, 7, DATE '2024-02-29'), "
               "(1002, NULL, NULL, NULL, NULL)") == [(2,)]
    assert sql("INSERT INTO store.public.items (stock, id) VALUES (8, 1003)") == [(1,)]
    assert psql("SELECT * FROM items WHERE id > 1000 ORDER BY 1") == "1001|x|1.50|7|2024-02-29\n1002||||\n1003|||8|"
    assert sql("INSERT INTO store.public.items SELECT id + 2000, kind, price, stock, seen FROM store.public.items "
               "WHERE id <= 10") == [(10,)]
    assert sql("INSERT INTO store.public.items (id) SELECT g.id + 5000 FROM other.public.gone g") == [(67,)]
    assert sql("INSERT INTO store.public.items (id) SELECT id FROM other.public.gone WHERE false") == [(0,)]
    assert psql("SELECT count(*), sum(id) FROM items WHERE id > 5000") \
        == psql("SELECT count(*), sum(g + 5000) FROM generate_series(1, 200, 3) g")


def test_explain_shows_what_would_be_sent(sql, psql, items):
    inside = sql("EXPLAIN INSERT INTO store.public.items (id) SELECT id + 900 FROM store.public.items")[0][0]
    assert "INSERT INTO \"public\".\"items\" (\"id\") SELECT q.c0 FROM (SELECT" in inside, inside
    across = sql("EXPLAIN DELETE FROM store.public.items WHERE id IN (SELECT id FROM other.public.gone)")[0][0]
    assert "CREATE TEMPORARY TABLE" in across and "Sent to other" in across and "DELETE FROM" in across, across
    alone = sql("EXPLAIN UPDATE store.public.items SET stock = 1 WHERE id = 5")[0][0]
    assert alone.strip().startswith("Sent to store:\n    UPDATE \"public\".\"items\" AS t SET \"stock\" = q.c2 FROM ("), alone
    assert psql("SELECT count(*) FROM items") == "200"


def test_create_table_as(sql, psql, meesh, items):
    assert sql("CREATE TABLE store.public.made COMMENT 'a copy' AS SELECT id, kind, price * 2 AS twice, "
               "seen FROM store.public.items WHERE id <= 50") == [(50,)]
    assert psql("SELECT count(*), sum(twice) FROM made") == psql("SELECT count(*), sum(price * 2) FROM items WHERE id <= 50")
    assert sql("CREATE TABLE IF NOT EXISTS store.public.made AS SELECT 1 AS a") == [(0,)]
    assert refused(meesh, "CREATE TABLE store.public.made AS SELECT 1 AS a")[0] == "AlreadyExists"
    sql("DROP TABLE store.public.made")
    assert sql("CREATE TABLE store.public.made (x, y) AS SELECT id, 'a' FROM other.public.gone") == [(67,)]
    assert psql("SELECT count(*), min(x), max(y) FROM made") == "67|1|a"
    sql("DROP TABLE store.public.made")
    assert sql("CREATE TABLE store.public.made AS SELECT id FROM store.public.items WITH NO DATA") == [(0,)]
    assert psql("SELECT count(*) FROM made") == "0"
    sql("DROP TABLE store.public.made")
    for query, part in [("SELECT 1", "name not specified"), ("SELECT 1 AS a, 2 AS a", "more than once"),
                        ("SELECT NULL AS a", "unknown")]:
        assert part in refused(meesh, f"CREATE TABLE store.public.made AS {query}")[1]
    # It fails in the middle: there is no table then.
    assert refused(meesh, "CREATE TABLE store.public.made AS SELECT 10 / (id - 100) AS a FROM other.public.gone")[0] \
        == "InvalidArgument"
    assert psql("SELECT to_regclass('made')") == ""


def test_values_that_do_not_fit_are_refused(meesh, psql, items):
    psql("CREATE TABLE picky (id integer GENERATED ALWAYS AS IDENTITY, a smallint, b varchar(3), c text NOT NULL "
         "DEFAULT 'd', twice integer GENERATED ALWAYS AS (a * 2) STORED, u uuid, day date, CHECK (a < 100));"
         "ALTER TABLE picky OWNER TO meesh_writer")
    try:
        for text, part in [
            ("INSERT INTO store.public.items (id) VALUES (1.5)",
             "Insert query has mismatched column types: Table: [integer], Query: [decimal(2,1)]"),
            ("INSERT INTO store.public.items (id, kind) VALUES (1)", "mismatched column types"),
            ("INSERT INTO store.public.items (nothing) VALUES (1)", "\"nothing\""),
            ("INSERT INTO store.public.items (id, id) VALUES (1, 2)", "more than once"),
            ("INSERT INTO store.public.items (id, seen) VALUES (3000, '2024-01-01')", "mismatched column types"),
            ("INSERT INTO store.public.items (id) VALUES (1)", "constraint"),
            ("INSERT INTO store.public.picky (id) VALUES (1)", "GENERATED ALWAYS"),
            ("INSERT INTO store.public.picky (twice) VALUES (1)", "GENERATED ALWAYS"),
            ("INSERT INTO store.public.picky (b) VALUES ('too long')", "too long"),
            ("INSERT INTO store.public.picky (u) VALUES ('no uuid')", "column \"u\": text is no UUID"),
            ("INSERT INTO store.public.picky (b) VALUES (U&'a\\0000')", "U+0000"),
            ("INSERT INTO store.public.picky (c) VALUES (NULL)", "null value"),
            ("INSERT INTO store.public.picky (a) VALUES (SMALLINT '100')", "constraint"),
            ("UPDATE store.public.items SET stock = 'x'", "don't match SET expressions"),
            ("UPDATE store.public.items SET nothing = 1", "\"nothing\""),
        ]:
            status, message = refused(meesh, text)
            assert part in message, (text, message)
            assert status in ("InvalidArgument", "NotFound", "Unimplemented"), (text, status)
        assert run(meesh.uri, "INSERT INTO store.public.picky (a, b, c) VALUES (SMALLINT '4', 'abc', 'x')") == [(1,)]
        assert psql("SELECT id, a, b, c, twice FROM picky") in ("1|4|abc|x|8", *[f"{n}|4|abc|x|8" for n in range(30)])
        assert psql("SELECT count(*) FROM items") == "200"
    finally:
        psql("DROP TABLE picky")


TYPES = [
    ("boolean", "true", "t"),
    ("smallint", "SMALLINT '-32768'", "-32768"),
    ("integer", "2147483647", "2147483647"),
    ("bigint", "-9223372036854775807", "-9223372036854775807"),
    ("oid", "BIGINT '4294967295'", "4294967295"),
    ("real", "REAL '1.5e0'", "1.5"),
    ("double precision", "1e300", "1e300"),
    ("numeric(12,2)", "DECIMAL '-1234567.89'", "-1234567.89"),
    ("numeric(38,0)", "DECIMAL '99999999999999999999999999999999999999'", "99999999999999999999999999999999999999"),
    ("numeric", "DECIMAL '1.0000000001'", "1.0000000001"),
    ("money", "DECIMAL '12.34'", "$12.34"),
    ("text", "'it''s \"ü\" \\ 🦦'", "it's \"ü\" \\ 🦦"),
    ("varchar(3)", "'abc'", "abc"),
    ("char(6)", "'ab'", "ab    "),
    ("name", "'pg'", "pg"),
    ("json", "'{\"a\":  1}'", "{\"a\":  1}"),
    ("jsonb", "'{\"a\":  1}'", "{\"a\": 1}"),
    ("xml", "'<a>ü</a>'", "<a>ü</a>"),
    ("bytea", "X'00ff'", "\\x00ff"),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("date", "DATE '1969-12-31'", "1969-12-31"),
    ("time", "TIME '23:59:59.123'", "23:59:59.123"),
    ("timestamp", "TIMESTAMP '1900-01-01 00:00:00.123456'", "1900-01-01 00:00:00.123456"),
    ("timestamp(0)", "TIMESTAMP '2024-01-01 00:00:00.5'", "2024-01-01 00:00:01"),
    ("timestamptz", "TIMESTAMP '2020-01-01 12:00:00 +02:00'", "2020-01-01 10:00:00+00"),
    ("inet", "'10.0.0.1/8'", "10.0.0.1/8"),
    ("bit(3)", "'101'", "101"),
    ("int4range", "'[1,5)'", "[1,5)"),
    ("mood", "'fine'", "fine"),
    ("posint", "7", "7"),
    ("short", "'abc'", "abc"),
    ("integer[]", "ARRAY[1, NULL, 3]", "{1,NULL,3}"),
    ("text[]", "ARRAY['a,b', 'c']", "{\"a,b\",c}"),
    ("mood[]", "ARRAY['fine']", "{fine}"),
    ("inet[]", "ARRAY['::1']", "{::1}"),
]


@pytest.fixture(scope="module")
def own_types(store):
    store.psql("CREATE TYPE mood AS ENUM ('sad', 'fine'); CREATE DOMAIN posint AS integer CHECK (VALUE > 0);"
               "CREATE DOMAIN short AS varchar(3); SET lc_monetary = 'C'", database="store")


@pytest.mark.parametrize("source", ["VALUES", "one source", "UPDATE"])
def test_every_type_arrives_as_it_is(sql, psql, own_types, source):
    columns = ", ".join(f"c{i} {kind}" for i, (kind, _, _) in enumerate(TYPES))
    values = ", ".join(value for _, value, _ in TYPES)
    psql(f"CREATE TABLE kinds (id integer, {columns}); ALTER TABLE kinds OWNER TO meesh_writer")
    try:
        nulls = ", ".join("NULL" for _ in TYPES)
        if source == "VALUES":
            assert sql(f"INSERT INTO store.public.kinds VALUES (1, {values}), (2, {nulls})") == [(2,)]
        elif source == "UPDATE":
            psql("INSERT INTO kinds (id) VALUES (1), (2)")
            sets = ", ".join(f"c{i} = {value}" for i, (_, value, _) in enumerate(TYPES))
            assert sql(f"UPDATE store.public.kinds SET {sets} WHERE id IN (SELECT id FROM other.public.gone)") == [(1,)]
        else:
            assert sql(f"INSERT INTO store.public.kinds VALUES (1, {values}), (2, {nulls})") == [(2,)]
            psql("CREATE TABLE more_kinds (LIKE kinds); ALTER TABLE more_kinds OWNER TO meesh_writer")
            assert sql("INSERT INTO store.public.more_kinds SELECT * FROM store.public.kinds") == [(2,)]
            psql("DROP TABLE kinds; ALTER TABLE more_kinds RENAME TO kinds")
        for i, (kind, _, expected) in enumerate(TYPES):
            found = psql(f"SELECT c{i} FROM kinds WHERE id = 1")
            # psql's own output is trimmed at its end.
            assert found == expected.rstrip() or (kind == "double precision" and found == "1e+300"), (kind, found)
        filled = psql("SELECT num_nonnulls(" + ", ".join(f"c{i}" for i in range(len(TYPES))) + ") FROM kinds ORDER BY id")
        assert filled == f"{len(TYPES)}\n0"
    finally:
        psql("DROP TABLE IF EXISTS kinds, more_kinds")


def test_insert_from_the_lake(sql, psql):
    count, = sql("SELECT count(*) FROM lake.raw.website_traffic")[0],
    assert sql("CREATE TABLE store.public.traffic AS SELECT * FROM lake.raw.website_traffic") == [count]
    try:
        assert sql("INSERT INTO store.public.traffic SELECT * FROM lake.raw.website_traffic") == [count]
        assert psql("SELECT count(*) FROM traffic") == str(2 * count[0])
        pages = "SELECT page, count(*) AS n FROM {} GROUP BY page ORDER BY page"
        assert [(page, n // 2) for page, n in sql(pages.format("store.public.traffic"))] \
            == sql(pages.format("lake.raw.website_traffic"))
    finally:
        psql("DROP TABLE traffic")


def test_a_parameter_takes_its_columns_type(meesh, psql, items):
    with connect(meesh.uri) as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO store.public.items (id, kind, stock) VALUES (?, ?, ?)",
                           [(7001, "p", 1), (7002, None, 2)])
        cursor.execute("UPDATE store.public.items SET stock = ? WHERE id = ?", (99, 7001))
    assert psql("SELECT id, kind, stock FROM items WHERE id > 7000 ORDER BY 1") == "7001|p|99\n7002||2"


# Rows that are there


CHANGES = [
    "DELETE FROM {items} WHERE id = 5",
    "DELETE FROM {items} WHERE false",
    "DELETE FROM {items} WHERE id IN (SELECT id FROM {gone})",
    "DELETE FROM {items} WHERE id NOT IN (SELECT id FROM {gone})",
    "DELETE FROM {items} WHERE EXISTS (SELECT 1 FROM {gone} g WHERE g.id = {items}.id + 1)",
    "DELETE FROM {items} WHERE stock IS NULL OR kind = 'a' AND price > 20",
    "DELETE FROM {items} WHERE id IN (SELECT max(id) FROM {items} GROUP BY kind)",
    "DELETE FROM {items} WHERE price > (SELECT avg(price) FROM {items})",
    "DELETE FROM {items} WHERE kind = 'nothing'",
    "DELETE FROM {items}",
    "UPDATE {items} SET stock = stock + 1, kind = upper(kind) WHERE id % 3 = 0",
    "UPDATE {items} SET stock = stock + 1",
    "UPDATE {items} SET stock = 0 WHERE false",
    "UPDATE {items} SET stock = (SELECT max(g.id) FROM {gone} g WHERE g.id = {items}.id + 1) WHERE id > 100",
    "UPDATE {items} SET price = (SELECT max(price) FROM {items}), kind = NULL WHERE id IN (SELECT id FROM {gone})",
    "UPDATE {items} SET id = id + 1000 WHERE id NOT IN (SELECT id FROM {gone} WHERE id > 50)",
    "UPDATE {items} SET seen = DATE '2030-01-01' WHERE kind LIKE 'a%' AND length(kind) = 1",
]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["one source", "two sources"])
@pytest.mark.parametrize("change", CHANGES)
def test_changes_touch_exactly_their_rows(sql, psql, items, change, elsewhere):
    psql("CREATE TABLE IF NOT EXISTS gone AS SELECT g AS id FROM generate_series(1, 200, 3) g; "
         "ALTER TABLE gone OWNER TO meesh_writer")
    try:
        if elsewhere and "{gone}" not in change:
            # The rows go through meesh all the same.
            change = change + (" AND" if " WHERE " in change else " WHERE") + " 1 = (SELECT min(id) FROM {gone})"
        gone = "other.public.gone" if elsewhere else "store.public.gone"
        # Trino's names of the target's columns have its last part alone.
        ours = change.replace("FROM {items} WHERE EXISTS", "FROM store.public.items WHERE EXISTS")
        ours = ours.replace("{items}.id", "items.id").format(items="store.public.items", gone=gone)
        theirs = change.format(items="copy_of_items", gone="gone")
        expected = psql(f"WITH done AS ({theirs} RETURNING 1) SELECT count(*) FROM done")
        assert sql(ours) == [(int(expected),)], ours
        assert table(psql, "items") == table(psql, "copy_of_items"), ours
    finally:
        psql("DROP TABLE gone")


def test_truncate(sql, psql, items):
    assert sql("TRUNCATE TABLE store.public.items") == [(0,)]
    assert psql("SELECT count(*) FROM items") == "0"


def test_rows_of_partitions_are_told_apart(sql, psql):
    psql("CREATE TABLE parts (id integer, part integer, note text) PARTITION BY LIST (part);"
         "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);"
         "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);"
         "INSERT INTO parts SELECT g / 2, g % 2 + 1, 'old' FROM generate_series(0, 199) g;"
         "ALTER TABLE parts OWNER TO meesh_writer; ALTER TABLE parts_1 OWNER TO meesh_writer;"
         "ALTER TABLE parts_2 OWNER TO meesh_writer")
    try:
        assert sql("DELETE FROM store.public.parts WHERE part = 1 AND id IN (SELECT id FROM other.public.gone)") == [(33,)]
        assert sql("DELETE FROM store.public.parts WHERE part = 2 AND id < 10") == [(10,)]
        assert sql("UPDATE store.public.parts SET part = 2, note = 'moved' WHERE part = 1 AND id = 2") == [(1,)]
        assert psql("SELECT part, note, count(*) FROM parts GROUP BY 1, 2 ORDER BY 1, 2") \
            == "1|old|66\n2|moved|1\n2|old|90"
    finally:
        psql("DROP TABLE parts")


def test_schemas_of_any_case_are_listed_in_lower_case(sql, psql):
    psql('CREATE SCHEMA "OddOne" CREATE TABLE t (a integer); GRANT USAGE ON SCHEMA "OddOne" TO meesh_writer;'
         'GRANT SELECT ON "OddOne".t TO meesh_writer')
    try:
        listed = "SELECT schema_name FROM store.information_schema.schemata WHERE schema_name LIKE 'odd%'"
        assert sql(listed) == [("oddone",)]
        assert ("oddone",) in sql("SHOW SCHEMAS FROM store")
        assert sql("SELECT table_schema FROM store.information_schema.tables WHERE table_schema = 'oddone'") == [("oddone",)]
        assert sql("SELECT count(*) FROM store.oddone.t") == [(0,)]
    finally:
        psql('DROP SCHEMA "OddOne" CASCADE')


def test_columns_of_any_case(sql, psql):
    psql("CREATE TABLE \"Odd\" (\"Id\" integer, \"The \"\"Note\" text); INSERT INTO \"Odd\" VALUES (1, 'a'), (2, 'b');"
         "ALTER TABLE \"Odd\" OWNER TO meesh_writer")
    try:
        assert sql("INSERT INTO store.public.odd (ID, \"the \"\"note\") VALUES (3, '''; DROP TABLE items; --')") == [(1,)]
        assert sql("UPDATE store.public.odd SET \"The \"\"Note\" = 'x\\' WHERE id = 1") == [(1,)]
        assert sql("DELETE FROM store.public.odd WHERE id = 2") == [(1,)]
        assert psql("SELECT * FROM \"Odd\" ORDER BY 1") == "1|x\\\n3|'; DROP TABLE items; --"
    finally:
        psql("DROP TABLE \"Odd\"")


MERGE = """
MERGE INTO {items} t USING {source} s ON t.id = s.id
WHEN MATCHED AND s.n > 100 THEN DELETE
WHEN MATCHED THEN UPDATE SET stock = s.n, kind = 'merged'
WHEN NOT MATCHED AND s.n < 350 THEN INSERT (id, kind, stock) VALUES (s.id, 'new', s.n)
"""


@pytest.mark.parametrize("elsewhere", [False, True], ids=["one source", "two sources"])
def test_merge(sql, psql, meesh, items, elsewhere):
    ours = "(SELECT id * 2 AS id, CAST(id AS bigint) * 2 AS n FROM {})".format(
        "other.public.gone" if elsewhere else "store.public.gone")
    psql("CREATE TABLE gone AS SELECT g AS id FROM generate_series(1, 200, 3) g; ALTER TABLE gone OWNER TO meesh_writer")
    try:
        theirs = "(SELECT id * 2 AS id, id::bigint * 2 AS n FROM gone)"
        psql(MERGE.format(items="copy_of_items", source=theirs))
        before = psql("SELECT count(*) FROM items")
        count, = sql(MERGE.format(items="store.public.items", source=ours))[0]
        assert table(psql, "items") == table(psql, "copy_of_items")
        # 34 ids are at most 200; of the 33 others those below 350 are new.
        assert count == 34 + int(psql("SELECT count(*) FROM items WHERE kind = 'new'")), (before, count)
        twice = ours.replace("SELECT ", "SELECT 7 * ", 1).replace("7 * id * 2 AS id", "7 AS id")
        status, message = refused(meesh, MERGE.format(items="store.public.items", source=twice))
        assert status == "InvalidArgument" and "One MERGE target table row matched more than one source row" in message
        assert table(psql, "items") == table(psql, "copy_of_items")
    finally:
        psql("DROP TABLE gone")


def behind(store, psql, other: str, ours):
    """What `ours()` comes to when it has to wait for the statement `other`, which is committed meanwhile."""
    blocker = subprocess.Popen(
        [bin_dir() / "psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(store.port), "-U", "postgres", "-d", "store"],
        stdin=subprocess.PIPE, text=True, env={**os.environ, "PGPASSWORD": PASSWORD})
    blocker.stdin.write(f"BEGIN; {other};\n")
    blocker.stdin.flush()
    while psql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") == "0":
        time.sleep(0.01)
    found = []
    writer = threading.Thread(target=lambda: found.append(ours()))
    writer.start()
    while psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "0":
        time.sleep(0.01)
    blocker.stdin.write("COMMIT;\n")
    blocker.stdin.close()
    writer.join(timeout=30)
    blocker.wait(timeout=30)
    return found[0]


def test_the_insert_of_a_merge_does_not_see_the_target(meesh, psql, items):
    """There is no row of the target where nothing matched: the name must not be taken for another column's."""
    status, message = refused(meesh, "MERGE INTO store.public.items t USING other.public.gone s ON t.id = s.id + 1000 "
                                     "WHEN NOT MATCHED THEN INSERT (id, stock) VALUES (s.id + 1000, t.stock)")
    assert status == "InvalidArgument" and "t.stock is a column of the target" in message, message
    assert psql("SELECT count(*) FROM items") == "200"


@pytest.mark.parametrize("other", ["UPDATE items SET stock = 77 WHERE id = 5", "ALTER TABLE items ALTER stock TYPE numeric"])
def test_all_rows_are_deleted_whatever_went_on_before(sql, psql, store, items, other):
    """Also those that another statement wrote while DELETE waited for it: a snapshot from before does not see them."""
    assert sql("SELECT count(*) FROM store.public.items") == [(200,)]
    assert behind(store, psql, other, lambda: sql("DELETE FROM store.public.items")) == [(200,)]
    assert psql("SELECT count(*) FROM items") == "0"


def test_a_row_changed_meanwhile_is_a_clean_error(meesh, psql, store, items):
    """Our statement waits for another one's row lock, and may not pass over what that one did."""
    status, message = behind(store, psql, "UPDATE items SET stock = 77 WHERE id = 5",
                             lambda: refused(meesh, "DELETE FROM store.public.items WHERE id = 5"))
    assert status == "Unavailable" and "run the" in message and "again" in message, message
    assert psql("SELECT stock FROM items WHERE id = 5") == "77"


# Refusals


@pytest.mark.parametrize("text", [
    "INSERT INTO {}.public.items VALUES (1)",
    "DELETE FROM {}.public.items",
    "UPDATE {}.public.items SET stock = 1",
    "MERGE INTO {0}.public.items t USING {0}.public.items s ON t.id = s.id WHEN MATCHED THEN DELETE",
    "CREATE TABLE {}.public.t (a bigint)",
    "CREATE TABLE {}.public.t AS SELECT 1 AS a",
    "CREATE VIEW {}.public.v AS SELECT 1 AS a",
    "CREATE SCHEMA {}.s",
    "DROP TABLE {}.public.items",
    "TRUNCATE TABLE {}.public.items",
    "ALTER TABLE {}.public.items DROP COLUMN stock",
    "COMMENT ON TABLE {}.public.items IS 'x'",
    "CALL {}.system.execute(query => 'DROP TABLE items')",
])
def test_catalogs_are_read_only_unless_they_say_otherwise(meesh, psql, items, text):
    status, message = refused(meesh, text.format("strict"))
    assert status == "PermissionDenied", message
    assert "catalog \"strict\" is read-only: set writes-enabled=true in its catalog file" in message
    status, message = refused(meesh, text.format("lake"))
    assert status == "Unimplemented" and "catalog \"lake\" cannot be written to" in message
    assert psql("SELECT count(*) FROM items") == "200"


# PostgreSQL's own language


def test_a_query_is_passed_through(sql, psql, meesh, items):
    found = sql("SELECT id, price, l, late FROM TABLE(store.system.query(query => "
                "'SELECT id, price, ARRAY[id, 2] AS \"L\", now() > ''2020-01-01'' AS late "
                "FROM items WHERE id <= 2 -- the end')) AS q ORDER BY id")
    assert [(id, str(price), list(l), late) for id, price, l, late in found] \
        == [(1, "1.25", [1, 2], True), (2, "2.50", [2, 2], True)]
    assert sql("SELECT count(*) FROM TABLE(strict.system.query('SELECT generate_series(1, 1000) AS g')) t "
               "WHERE g > 990") == [(10,)]
    assert sql("SELECT a.x, b.id FROM TABLE(store.system.query(query => 'SELECT 4 AS x')) a "
               "JOIN other.public.gone b ON a.x = b.id") == [(4, 4)]
    for text, part in [
        ("SELECT nope FROM items", "nope"),
        ("SELEC 1", "SELEC"),
        ("SELECT 1; DROP TABLE items", "multiple commands"),
        ("SELECT 1) AS q; DROP TABLE items; SELECT * FROM (SELECT 1", "syntax error"),
        ("DELETE FROM items RETURNING id", ""),
        ("DROP TABLE items", "no columns"),
        ("SELECT setval('s', 1)", ""),
        ("SELECT 1 /* open", ""),
    ]:
        status, message = refused(meesh, "SELECT * FROM TABLE(store.system.query(query => '{}'))".format(
            text.replace("'", "''")))
        assert part in message and status in ("InvalidArgument", "NotFound", "PermissionDenied"), (text, status, message)
    assert psql("SELECT count(*) FROM items") == "200"


def test_a_statement_is_passed_through(sql, psql, meesh, items):
    assert sql("CALL store.system.execute(query => 'CREATE TABLE own (a inet); INSERT INTO own VALUES (''::1'')')") == [(0,)]
    assert sql("SELECT a FROM store.public.own") == [("::1/128",)]
    # All of the text or nothing of it.
    assert refused(meesh, "CALL store.system.execute('INSERT INTO own VALUES (''::2''); SELECT 1/0')")[0] == "InvalidArgument"
    assert refused(meesh, "CALL store.system.execute('BEGIN; INSERT INTO own VALUES (''::3'')')")[0] == "InvalidArgument"
    assert psql("SELECT count(*) FROM own") == "1"
    status, message = refused(meesh, "CALL store.system.execute('DRO TABLE own')")
    assert status == "InvalidArgument" and "syntax error" in message
    # What a text sets is nobody else's.
    sql("CALL store.system.execute('SET default_transaction_read_only = on')")
    sql("CALL store.system.execute('DROP TABLE own')")
    status, message = refused(meesh, "CALL store.system.execute('COPY items TO STDOUT')")
    assert status == "Unimplemented" and "COPY" in message, (status, message)


def test_a_statement_passed_through_has_a_name_and_a_time_limit(sql, psql, meesh, items):
    status, message = refused(meesh, "CALL hurried.system.execute('DELETE FROM items; SELECT pg_sleep(20)')")
    assert status == "DeadlineExceeded" and "700 ms" in message and "statement-timeout" in message, (status, message)
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%sleep(20)%' AND pid <> pg_backend_pid()"
    eventually = time.monotonic() + 10
    while psql(sleeping) != "0" and time.monotonic() < eventually:
        time.sleep(0.05)
    assert psql(sleeping) == "0"
    assert psql("SELECT count(*) FROM items") == "200"
    sql("CALL store.system.execute('UPDATE items SET kind = current_setting(''application_name'') WHERE id = 1')")
    assert psql("SELECT kind FROM items WHERE id = 1").startswith("meesh/")


# Killed at any moment


@pytest.mark.parametrize("kind", ["INSERT", "CREATE TABLE AS"])
def test_killed_writes_leave_nothing_half_written(store, psql, kind):
    """meesh dies by SIGKILL in the middle of a COPY: the table is as before, or complete."""
    count = 400_000
    psql(f"CREATE TABLE wide AS SELECT g AS id, md5(g::text) AS a, repeat(md5(g::text), 4) AS b "
         f"FROM generate_series(1, {count}) g; ALTER TABLE wide OWNER TO meesh_writer")
    # Two catalogs of one database through different hosts are two sources, so the rows pass through meesh.
    source = writable(store)
    source["connection-url"] = source["connection-url"].replace("127.0.0.1", "localhost")
    catalogs = {"store": writable(store), "source": source}
    outcomes = {"before": 0, "complete": 0}
    generator = random.Random(7)
    try:
        for _ in range(KILLS):
            psql("DROP TABLE IF EXISTS target")
            statement = "CREATE TABLE store.public.target AS SELECT * FROM source.public.wide"
            if kind == "INSERT":
                psql("CREATE TABLE target AS SELECT * FROM wide LIMIT 10; ALTER TABLE target OWNER TO meesh_writer")
                statement = "INSERT INTO store.public.target SELECT * FROM source.public.wide"
            with serving(catalogs) as server:
                def write():
                    try:
                        run(server.uri, statement)
                    except Exception:  # noqa: BLE001 - it is killed
                        pass
                writer = threading.Thread(target=write)
                writer.start()
                time.sleep(generator.uniform(0.05, 1.2))
                server.process.kill()
                server.process.wait()
                writer.join(timeout=30)
            while psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'meesh_writer'") != "0":
                time.sleep(0.01)
            existed = psql("SELECT to_regclass('target')") != ""
            found = int(psql("SELECT count(*) FROM target")) if existed else None
            before, complete = (10, count + 10) if kind == "INSERT" else (None, count)
            assert found in (before, complete), f"{found} rows are half a write"
            outcomes["before" if found == before else "complete"] += 1
            assert psql("SELECT count(*) FROM pg_class WHERE relname LIKE 'meesh%'") == "0"
        assert outcomes["before"] > 0, outcomes
    finally:
        psql("DROP TABLE IF EXISTS target, wide")


def test_a_cancelled_write_frees_its_session(meesh, store, psql, items):
    """The client goes away while rows are being written: the transaction is rolled back, the session is free."""
    psql("CREATE TABLE big_target (id bigint, text varchar); ALTER TABLE big_target OWNER TO meesh_writer")
    try:
        for _ in range(5):
            with connect(meesh.uri) as connection, connection.cursor() as cursor:
                running = threading.Thread(target=lambda: pytest.raises(Exception, cursor.execute, (
                    "INSERT INTO store.public.big_target SELECT a.id * 1000 + b.id, CAST(c.id AS varchar) "
                    "FROM other.public.gone a, other.public.gone b, other.public.gone c, other.public.gone d")))
                running.start()
                deadline = time.monotonic() + 20
                while psql("SELECT count(*) FROM pg_stat_progress_copy") == "0" and time.monotonic() < deadline:
                    time.sleep(0.01)
                cursor.adbc_cancel()
                running.join(timeout=30)
                assert not running.is_alive()
            deadline = time.monotonic() + 5
            while psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'meesh_writer' AND state <> 'idle'") != "0":
                assert time.monotonic() < deadline
                time.sleep(0.01)
        assert psql("SELECT count(*) FROM big_target") == "0"
        assert run(meesh.uri, "INSERT INTO store.public.big_target VALUES (1, 'a')") == [(1,)]
    finally:
        psql("DROP TABLE big_target")


# Never another value than the one that was given


def bound(meesh, text: str, *values):
    with connect(meesh.uri) as connection, connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall() if cursor.description else [(cursor.rowcount,)]


def test_a_parameter_is_stored_as_it_is_or_refused(meesh, psql, items):
    psql("CREATE TABLE given (i integer, n numeric(10,2), r real, d date, t timestamp, b boolean);"
         "ALTER TABLE given OWNER TO meesh_writer")
    noon = datetime.datetime(2024, 1, 1, 12, 0)
    try:
        for column, value in [("i", 5.9), ("i", Decimal("7.9")), ("i", True), ("i", datetime.date(2024, 1, 1)), ("b", 2),
                              ("n", Decimal("1.239")), ("r", 1e300), ("d", noon),
                              ("t", noon.replace(tzinfo=datetime.timezone.utc))]:
            with pytest.raises(Exception) as raised:
                bound(meesh, f"INSERT INTO store.public.given ({column}) VALUES (?)", value)
            assert "TYPE_MISMATCH" in str(raised.value) or "INVALID_CAST_ARGUMENT" in str(raised.value), (column, value)
        for column, value in [("i", 5), ("i", 5.0), ("i", None), ("n", Decimal("1.2")), ("n", 3), ("r", 0.1), ("b", True),
                              ("d", datetime.date(2024, 1, 1)), ("t", noon), ("t", datetime.date(2024, 1, 1))]:
            assert bound(meesh, f"INSERT INTO store.public.given ({column}) VALUES (?)", value) == [(1,)]
        assert psql("SELECT string_agg(coalesce(i::text, n::text, r::text, d::text, t::text, b::text, '-'), ' ') FROM given") \
            == "5 5 - 1.20 3.00 0.1 true 2024-01-01 2024-01-01 12:00:00 2024-01-01 00:00:00"
        with pytest.raises(Exception, match="TYPE_MISMATCH"):
            bound(meesh, "UPDATE store.public.given SET i = ? WHERE i = ?", 2.7, 5)
    finally:
        psql("DROP TABLE given")


def test_a_parameter_means_what_its_literal_means(meesh, items):
    assert bound(meesh, "SELECT CAST(? AS integer), CAST(? AS bigint)", 5.9, Decimal("-5.5")) == [(6, -6)]
    assert bound(meesh, "SELECT id / ? FROM store.public.items WHERE id = 5", Decimal("2.0")) == [(Decimal("2.5"),)]
    assert bound(meesh, "SELECT id FROM store.public.items WHERE id = CAST(? AS integer)", 2.5) == [(3,)]
    assert bound(meesh, "SELECT x > ?, x = ? FROM (VALUES nan()) t(x)", 1.0, float("nan")) == [(False, False)]
    assert bound(meesh, "SELECT x FROM (SELECT ? UNION ALL SELECT 2.5) t(x) ORDER BY x", 1) \
        == [(Decimal("1.0"),), (Decimal("2.5"),)]
    assert bound(meesh, "SELECT DATE '2024-01-02' < ?", datetime.datetime(2024, 1, 2, 12)) == [(True,)]


def test_what_a_text_leaves_in_its_session_is_nobody_elses(meesh, sql, psql, items):
    """Neither by a setting, nor by a lock, nor by what a transaction for reading lets pass."""
    psql("CREATE TABLE texts (t text); ALTER TABLE texts OWNER TO meesh_writer")
    objects = psql("SELECT count(*) FROM pg_largeobject_metadata")
    try:
        for text in ["set_config('client_encoding', 'LATIN1', false)", "set_config('statement_timeout', '1', false)",
                     "set_config('role', 'nobody', false)", "pg_advisory_lock(5)::text", "lo_create(0)"]:
            for catalog in ["store", "strict"]:
                try:
                    sql("SELECT * FROM TABLE({}.system.query(query => 'SELECT {} AS x'))".format(catalog, text.replace("'", "''")))
                except Exception:  # noqa: BLE001 - a role that is not there
                    pass
            sql("INSERT INTO store.public.texts VALUES ('ü')")
            assert sql("SELECT t FROM store.public.texts") == [("ü",)], text
            sql("DELETE FROM store.public.texts")
        eventually = time.monotonic() + 10
        while psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") != "0" and time.monotonic() < eventually:
            time.sleep(0.05)
        assert psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"
        assert psql("SELECT count(*) FROM pg_largeobject_metadata") == objects
    finally:
        psql("DROP TABLE texts")


def test_no_statement_rounds_or_cuts_silently(meesh, sql, psql, items):
    psql("CREATE TABLE bare (id integer, g numeric); INSERT INTO bare VALUES (1, 0.123456789012345), (2, 1.5);"
         "CREATE TABLE kept (id integer, a numeric(38,10), g numeric); CREATE DOMAIN three AS varchar(3);"
         "CREATE TABLE lists (l three[]); ALTER TABLE bare OWNER TO meesh_writer; ALTER TABLE kept OWNER TO meesh_writer;"
         "ALTER TABLE lists OWNER TO meesh_writer")
    try:
        for text in ["CREATE TABLE store.public.bare_too AS SELECT id, g FROM store.public.bare",
                     "INSERT INTO store.public.kept (id, a) SELECT id, g FROM store.public.bare"]:
            status, message = refused(meesh, text)
            assert status == "InvalidArgument" and "keeps 10 decimals, and a value has more" in message, message
        assert psql("SELECT count(*) FROM kept") == "0"
        assert sql("INSERT INTO store.public.kept (id, a) SELECT id, g FROM store.public.bare WHERE id = 2") == [(1,)]
        # A column without precision keeps every digit.
        assert sql("INSERT INTO store.public.kept (id, g) SELECT id, g FROM store.public.bare WHERE id = 1") == [(1,)]
        assert psql("SELECT a, g FROM kept ORDER BY id DESC") == "1.5000000000|\n|0.123456789012345"
        status, message = refused(meesh, "UPDATE store.public.kept SET a = g WHERE id = 1")
        assert status == "InvalidArgument" and "keeps 10 decimals" in message, message
        assert refused(meesh, "INSERT INTO store.public.lists VALUES (ARRAY['toolong'])")[0] == "InvalidArgument"
        assert sql("INSERT INTO store.public.lists VALUES (ARRAY['abc', NULL])") == [(1,)]
        assert psql("SELECT l FROM lists") == "{abc,NULL}"
    finally:
        psql("DROP TABLE IF EXISTS bare, kept, lists, bare_too; DROP DOMAIN IF EXISTS three")


def test_what_is_computed_there_is_what_was_planned(meesh, sql, psql, items):
    psql("CREATE TABLE moved (a integer); INSERT INTO moved VALUES (2); CREATE TABLE takes (a integer);"
         "ALTER TABLE moved OWNER TO meesh_writer; ALTER TABLE takes OWNER TO meesh_writer")
    try:
        assert sql("SELECT a FROM store.public.moved") == [(2,)]
        psql("ALTER TABLE moved ALTER a TYPE double precision USING 2.6")
        status, message = refused(meesh, "INSERT INTO store.public.takes SELECT a FROM store.public.moved")
        assert "the definition of \"moved\" has changed" in message and "run the statement again" in message, message
        assert "TYPE_MISMATCH" in refused(meesh, "INSERT INTO store.public.takes SELECT a FROM store.public.moved")[1]
        assert psql("SELECT count(*) FROM takes") == "0"
    finally:
        psql("DROP TABLE moved, takes")


def test_names_that_postgresql_would_cut_are_refused(meesh, sql, psql, items):
    long = "t" * 64
    for text in [f"CREATE TABLE store.public.{long} (a bigint)", f"CREATE TABLE store.public.{long} AS SELECT 1 AS a",
                 f"CREATE TABLE store.public.short AS SELECT 1 AS {long}", f"CREATE SCHEMA store.{long}",
                 f"CREATE OR REPLACE VIEW store.public.{long} AS SELECT id FROM store.public.items", f"CREATE TABLE store.public.s (\"{'é' * 32}\" bigint)"]:
        status, message = refused(meesh, text)
        assert status == "InvalidArgument" and "64 bytes: PostgreSQL keeps 63" in message, message
    assert sql(f"CREATE TABLE store.public.{'t' * 63} (a bigint)") == [(0,)]
    assert sql(f"DROP TABLE store.public.{'t' * 63}") == [(0,)]


def test_a_table_moves_past_others_of_its_names(sql, psql):
    psql("CREATE SCHEMA a1 AUTHORIZATION meesh_writer; CREATE SCHEMA a2 AUTHORIZATION meesh_writer;"
         "CREATE TABLE a1.t (x integer); CREATE TABLE a1.u (y integer); ALTER TABLE a1.t OWNER TO meesh_writer")
    try:
        sql("ALTER TABLE store.a1.t RENAME TO store.a2.u")
        assert psql("SELECT string_agg(relnamespace::regnamespace || '.' || relname, ' ' ORDER BY 1) FROM pg_class "
                    "WHERE relname IN ('t', 'u')") == "a1.u a2.u"
    finally:
        psql("DROP SCHEMA a1, a2 CASCADE")


def test_rows_go_into_a_table_with_row_policies(meesh, sql, psql, items):
    psql("CREATE TABLE private (id integer, who text); ALTER TABLE private ENABLE ROW LEVEL SECURITY;"
         "GRANT ALL ON private TO meesh_writer; CREATE POLICY own ON private USING (who = current_user)"
         " WITH CHECK (who = current_user)")
    try:
        assert sql("INSERT INTO store.public.private VALUES (1, 'meesh_writer'), (2, 'meesh_writer')") == [(2,)]
        assert refused(meesh, "INSERT INTO store.public.private VALUES (3, 'other')")[0] == "PermissionDenied"
        assert psql("SELECT count(*) FROM private") == "2"
    finally:
        psql("DROP TABLE private")


def test_a_table_that_was_missing_is_found_once_it_is_there(meesh, sql, psql):
    assert "TABLE_NOT_FOUND" in refused(meesh, "SELECT * FROM store.public.later")[1]
    psql("CREATE TABLE later AS SELECT 1 AS x; ALTER TABLE later OWNER TO meesh_writer")
    try:
        assert sql("SELECT x FROM store.public.later") == [(1,)]
    finally:
        psql("DROP TABLE later")
