"""meesh behind PgBouncer in transaction mode, where the next statement may meet another session of the server."""

import threading
import time

import psycopg
import pytest

from support.adbc import connect, rows, status_and_message
from support.bank import ROWS, TABLE, TOTAL, bank, catalog, writing
from support.flight_sql import FlightSql
from support.meesh import serving
from support.pgbouncer import Unavailable, pgbouncer

SESSIONS = 3
CLIENTS, QUERIES_EACH = 20, 5
ACTIVE = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'meesh_reader' AND state <> 'idle'"
# What a neighbour may leave behind in a session that meesh gets next; PgBouncer mends only some of it.
LEFT_BEHIND = """
SET search_path = nowhere; SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = sql_standard;
SET bytea_output = escape; SET extra_float_digits = 0; SET standard_conforming_strings = off; SET lc_monetary = 'C';
"""
SETTINGS = ["search_path", "IntervalStyle", "bytea_output", "extra_float_digits", "from_collapse_limit", "join_collapse_limit",
            "statement_timeout", "lock_timeout", "transaction_isolation", "transaction_read_only", "application_name"]
MOMENTS = """
CREATE TABLE moments AS SELECT timestamptz '2026-03-01 12:00:00+00' AS tz, '\\x00ff'::bytea AS by, 0.1::float8 + 0.2 AS f, 'a\\b' AS t;
GRANT SELECT ON moments TO meesh_reader
"""


@pytest.fixture(scope="module")
def accounts():
    with bank() as server:
        server.psql(MOMENTS, database="bank")
        yield server


@pytest.fixture(scope="module")
def bouncer(accounts):
    try:
        with pgbouncer(accounts, SESSIONS, ["meesh_reader"]) as found:
            yield found
    except Unavailable as reason:
        pytest.skip(f"NOT TESTED: {reason}")


@pytest.fixture(scope="module")
def meesh(bouncer):
    with serving(catalog(bouncer), yaml="queries.partitions: 4\n") as server:
        yield server


@pytest.fixture
def neighbour(bouncer):
    """Another client of PgBouncer with the same role and database, thus with the same sessions."""
    url = f"postgres://meesh_reader:demo@127.0.0.1:{bouncer.port}/bank"
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        yield connection


def test_tables_and_columns_are_listed(meesh):
    assert rows(meesh.uri, "SHOW TABLES FROM bank.public") == [("accounts",), ("moments",)]
    assert [row[0] for row in rows(meesh.uri, f"DESCRIBE {TABLE}")] == ["id", "balance", "filler"]


@pytest.mark.parametrize("pushdown", ["true", "false"])
def test_a_scan_gives_all_rows(accounts, meesh, pushdown):
    with connect(meesh.uri) as connection, connection.cursor() as cursor, writing(accounts, seed=5):
        cursor.execute(f"SET SESSION pushdown_enabled = {pushdown}")
        cursor.fetchall()
        for _ in range(5):
            cursor.execute(f"SELECT sum(balance), count(*), count(DISTINCT id) FROM {TABLE}")
            assert [tuple(map(int, row)) for row in cursor.fetchall()] == [(TOTAL, ROWS, ROWS)]


def test_a_client_that_goes_away_frees_its_session(accounts, meesh):
    client = FlightSql(meesh.uri)
    for _ in range(10):
        reader = client.reader(f"SELECT a.filler FROM {TABLE} a")
        assert reader.read_chunk().data.num_rows > 0
        reader.cancel()
        deadline = time.monotonic() + 3
        while accounts.psql(ACTIVE) != "0":
            assert time.monotonic() < deadline, "a session still works 3 s later"
            time.sleep(0.01)
    client.close()
    assert rows(meesh.uri, f"SELECT count(*) FROM {TABLE}") == [(ROWS,)]


def test_more_clients_than_sessions(meesh):
    failed = []

    def ask(number: int) -> None:
        try:
            client = FlightSql(meesh.uri, timeout_s=20, keep_session=True)
            if number % 2:
                # Such a scan wants several sessions at once, of one state.
                client.query("SET SESSION pushdown_enabled = false")
            for _ in range(QUERIES_EACH):
                table = client.query(f"SELECT count(*) AS n FROM {TABLE} WHERE id % {CLIENTS} = {number}")
                assert table.column(0).to_pylist() == [ROWS // CLIENTS]
            client.close()
        except Exception as error:
            failed.append(error)

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not failed, f"{len(failed)} of {CLIENTS} failed, as {failed[0]}"


def test_an_error_leaves_the_session_usable(meesh):
    for _ in range(2 * SESSIONS):
        with pytest.raises(Exception) as raised:
            rows(meesh.uri, f"SELECT sum(balance * 9223372036854775807) FROM {TABLE}")
        assert "INTERNAL" not in status_and_message(raised.value)[1]
        assert rows(meesh.uri, f"SELECT count(*) FROM {TABLE}") == [(ROWS,)]


def test_meesh_leaves_nothing_behind(meesh, neighbour):
    defaults = settings(neighbour)
    for _ in range(2 * SESSIONS):
        rows(meesh.uri, f"SELECT max(filler) FROM {TABLE} WHERE id < 10")
        assert settings(neighbour) == defaults
        assert neighbour.execute("SELECT name FROM pg_prepared_statements").fetchall() == []
        assert neighbour.execute("SELECT count(*) FROM pg_cursors WHERE name <> ''").fetchone() == (0,)


def settings(connection: psycopg.Connection) -> list[str]:
    return [connection.execute(f"SHOW {name}").fetchone()[0] for name in SETTINGS]


def test_what_a_neighbour_left_behind_changes_no_answer(meesh, neighbour):
    sql = "SELECT CAST(tz AS varchar), \"by\", f, t FROM bank.public.moments WHERE t = 'a\\b' AND f > 0.3"
    expected = rows(meesh.uri, sql)
    assert len(expected) == 1 and expected[0][1:] == (b"\x00\xff", 0.1 + 0.2, "a\\b")
    try:
        for _ in range(2 * SESSIONS):
            neighbour.execute(LEFT_BEHIND)
            assert rows(meesh.uri, sql) == expected
            assert rows(meesh.uri, f"SELECT count(*) FROM {TABLE}") == [(ROWS,)]
    finally:
        for _ in range(2 * SESSIONS):
            neighbour.execute("DISCARD ALL")
