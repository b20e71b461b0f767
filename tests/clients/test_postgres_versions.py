"""A compact set of questions to every major version of PostgreSQL that this machine can get."""

from pathlib import Path

import pytest

from support.adbc import connect, rows, status_and_message
from support.meesh import postgres_catalog, serving
from support.postgres_versions import VERSIONS, Unavailable, postgres

TYPES = (Path(__file__).parents[1] / "slt" / "types.sql").read_text()
MORE = """
CREATE TABLE shapes.many AS SELECT g AS id, g % 7 AS seven, repeat('x', 200) AS filler FROM generate_series(1, 50000) g;
ANALYZE shapes.many;
CREATE VIEW shapes.broken AS SELECT 1 / (id - 3) AS x FROM shapes.many WHERE id < 9;
CREATE ROLE meesh_reader LOGIN PASSWORD 'demo';
GRANT USAGE ON SCHEMA shapes TO meesh_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shapes TO meesh_reader;
"""
TABLES = ["all_types", "broken", "by_year", "by_year_2025", "by_year_2026", "counted", "happy", "many", "mixed case", "words"]
# Every value is shown as text, or the driver's own types would be compared.
ANSWERS = [
    ("SELECT CAST(i2 AS varchar), CAST(i8 AS varchar), CAST(n38 AS varchar), c, CAST(d AS varchar) FROM {}.all_types ORDER BY id",
     [("7", "9223372036854775807", "1234567890123456789012345678.0123456789", "ab", "2026-02-28"),
      (None, None, None, None, None),
      ("-32768", "-9223372036854775808", "-0.0000000001", "", "9999-12-31")]),
    ("SELECT j, jb, u, e, ip FROM {}.all_types WHERE id = 1",
     [('{"a": 1}', '{"b": [1, 2]}', "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ok", "10.0.0.1/32")]),
    ("SELECT count(ia), count(ta), count(pr), count(iv), count(tz), count(\"by\") FROM {}.all_types", [(2, 2, 2, 2, 2, 2)]),
    ("SELECT w FROM {}.words WHERE w > 'a' ORDER BY w DESC LIMIT 3", [("Äpfel",), ("zebra",), ("banana",)]),
    ("SELECT y, sum(v) FROM {}.by_year GROUP BY y ORDER BY y", [(2025, 3), (2026, 3)]),
    ("SELECT count(*), sum(id) FROM {}.many", [(50_000, 1_250_025_000)]),
    ("SELECT a.seven, count(*) FROM {0}.many a JOIN {0}.by_year b ON a.id = b.y GROUP BY a.seven ORDER BY 1", [(2, 2), (3, 1)]),
    ('SELECT "Id" FROM {}."Mixed Case" WHERE "Größe" = \'groß\'', [(1,)]),
    ("SELECT n FROM {}.counted", [(8,)]),
]


@pytest.fixture(scope="module", params=list(VERSIONS))
def version(request):
    """A server of one major, and meesh on it."""
    try:
        with postgres(request.param) as server:
            server.psql("CREATE DATABASE types")
            server.psql(TYPES + MORE, database="types")
            with serving({"pg": postgres_catalog(server, "types")}) as meesh:
                yield server, meesh
    except Unavailable as reason:
        pytest.skip(f"NOT TESTED: {reason}")


@pytest.mark.parametrize("pushdown", ["true", "false"])
def test_every_version_gives_the_same_answers(version, pushdown):
    _, meesh = version
    with connect(meesh.uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET SESSION pushdown_enabled = {pushdown}")
        cursor.fetchall()
        for sql, expected in ANSWERS:
            cursor.execute(sql.format("pg.shapes"))
            assert cursor.fetchall() == expected, sql


def test_tables_and_columns_are_listed(version):
    _, meesh = version
    assert [name for name, in rows(meesh.uri, "SHOW TABLES FROM pg.shapes")] == TABLES
    columns = rows(meesh.uri, "DESCRIBE pg.shapes.all_types")
    assert len(columns) == 29 and [column[:2] for column in columns[:2]] == [("id", "integer"), ("i2", "smallint")]


def test_a_fragment_is_pushed(version):
    _, meesh = version
    plan = str(rows(meesh.uri, "EXPLAIN SELECT seven, count(*) FROM pg.shapes.many WHERE id > 10 GROUP BY seven"))
    assert "remote=[" in plan and "GROUP BY" in plan


def test_errors_are_clear(version):
    _, meesh = version
    with pytest.raises(Exception) as raised:
        rows(meesh.uri, "SELECT * FROM pg.shapes.may")
    status, message = status_and_message(raised.value)
    assert status == "NotFound" and "many" in message
    with pytest.raises(Exception, match="division by zero"):
        rows(meesh.uri, "SELECT x FROM pg.shapes.broken")
    assert rows(meesh.uri, "SELECT 1") == [(1,)]


def test_a_session_that_ends_is_replaced(version):
    server, meesh = version
    assert rows(meesh.uri, "SELECT count(*) FROM pg.shapes.words") == [(8,)]
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'meesh_reader'")
    assert rows(meesh.uri, "SELECT count(*) FROM pg.shapes.words") == [(8,)]


def test_a_long_list_is_sent_to_a_server_that_hashes_it(version):
    server, meesh = version
    keys = ", ".join(f"({number * 200})" for number in range(1, 201))
    join = f"(VALUES {keys}) k(id) JOIN pg.shapes.many m ON m.id = k.id"
    plan = str(rows(meesh.uri, f"EXPLAIN ANALYZE SELECT count(*) FROM {join}"))
    hashed = int(server.psql("SHOW server_version_num")) >= 140_000
    said = "sent" if hashed else "not sent: PostgreSQL before 14 compares every row with each of them"
    assert f"id: 200 values, {said}" in plan, plan
    assert rows(meesh.uri, f"SELECT count(*), sum(m.id) FROM {join}") == [(200, 4_020_000)]
