"""One query sees one state of a database, however many sessions read for it, while others write at full speed.

MEESH_TEST_SECONDS is how long the queries are repeated altogether (60 for a full run).
"""

import os
import threading
import time

import psycopg
import pytest

from support.adbc import connect
from support.bank import ROWS, TABLE, TOTAL, bank, catalog, writing
from support.meesh import serving

SECONDS = float(os.environ.get("MEESH_TEST_SECONDS", "6"))
HALF = ROWS // 2
# Each reads the whole table, and its answer never changes. Those that read it twice are such that two states, each with
# the right sum, would not give that answer.
QUERIES = {
    "one scan": (f"SELECT sum(balance), count(*), count(DISTINCT id) FROM {TABLE}", (TOTAL, ROWS, ROWS)),
    "two scalar subqueries": (
        f"SELECT (SELECT sum(balance) FROM {TABLE} WHERE id <= {HALF}) + (SELECT sum(balance) FROM {TABLE} WHERE id > {HALF})",
        (TOTAL,)),
    "self join": (
        f"SELECT count(*), count(*) FILTER (WHERE a.balance <> b.balance), sum(a.balance) FROM {TABLE} a JOIN {TABLE} b ON a.id = b.id",
        (ROWS, 0, TOTAL)),
    "union": (
        f"SELECT sum(x), count(*) FROM (SELECT balance AS x FROM {TABLE} WHERE id <= {HALF} "
        f"UNION ALL SELECT balance FROM {TABLE} WHERE id > {HALF})",
        (TOTAL, ROWS)),
}
READERS = """
SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'meesh/%' AND state = 'active'
"""


@pytest.fixture(scope="module")
def accounts():
    with bank() as server:
        yield server


@pytest.fixture(scope="module")
def local(accounts):
    """A connection to a meesh that computes everything itself."""
    # Two halves of a scan even where there is one core.
    with serving(catalog(accounts), yaml="queries.partitions: 4\n") as server, connect(server.uri) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION pushdown_enabled = false")
        yield connection


def answer(connection, sql: str) -> tuple:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row, = cursor.fetchall()
        return tuple(map(int, row))


def repeat(call) -> list:
    """The results of as many calls as fit into one query's part of the time, three at least."""
    found, started = [], time.monotonic()
    while len(found) < 3 or time.monotonic() - started < SECONDS / len(QUERIES):
        found.append(call())
    return found


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_sees_one_state(accounts, local, name):
    sql, expected = QUERIES[name]
    with writing(accounts, seed=1) as writer:
        answers = repeat(lambda: answer(local, sql))
    print(f"{name}: {len(answers)} answers beside {writer.transactions} transactions")
    wrong = [found for found in answers if found != expected]
    assert not wrong, f"{len(wrong)} of {len(answers)} answers are not {expected}: {wrong[:3]}"


def test_two_transactions_would_not_see_one_state(accounts):
    """Or the tests above could not fail: the writer is quick enough to be seen between two halves of a scan."""
    def halves(connection) -> tuple[int, int]:
        middle = "SELECT '(' || relpages / 2 || ',0)' FROM pg_class WHERE relname = 'accounts'"
        ctid, = connection.execute(middle).fetchone()
        parts = [connection.execute(f"SELECT sum(balance), count(*) FROM accounts WHERE ctid {op} %s::tid", (ctid,)).fetchone()
                 for op in ("<", ">=")]
        return sum(int(part[0]) for part in parts), sum(part[1] for part in parts)

    with writing(accounts, seed=2), psycopg.connect(accounts.url("bank"), autocommit=True) as connection:
        answers = repeat(lambda: halves(connection))
    assert any(found != (TOTAL, ROWS) for found in answers)


def test_a_large_table_is_read_by_several_sessions(accounts, local):
    """Or the tests above would show less than they seem to."""
    most, done = 0, threading.Event()

    def watch():
        nonlocal most
        with psycopg.connect(accounts.url("bank"), autocommit=True) as connection:
            while not done.is_set():
                most = max(most, len(connection.execute(READERS).fetchall()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(10):
            answer(local, f"SELECT sum(length(filler)), count(*) FROM {TABLE}")
    finally:
        done.set()
        watcher.join()
    assert most >= 2, f"at most {most} session read at once"
