"""Few sessions and much to do: everything waits for its turn, nothing for ever."""

import threading

import pytest

from support.adbc import connect
from support.bank import ROWS, TABLE, TOTAL, bank, catalog
from support.flight_sql import FlightSql
from support.meesh import serving

FINISH_SECONDS = 60
PUSHDOWN_OFF = "SET SESSION pushdown_enabled = false"
CLIENTS = 100
# Both sides of each are read at the same time and wait for each other's rows.
QUERIES = [
    f"SELECT count(*), sum(a.balance) FROM {TABLE} a FULL JOIN {TABLE} b ON a.id = b.id",
    f"""SELECT count(*), sum(balance) FROM (
        SELECT a.balance, row_number() OVER (ORDER BY a.id) AS n
        FROM (SELECT id, balance FROM {TABLE} ORDER BY id LIMIT {ROWS}) a
        JOIN (SELECT id FROM {TABLE} ORDER BY id LIMIT {ROWS}) b ON a.id = b.id)""",
    f"""SELECT count(*), sum(balance) FROM (
        SELECT id, max(balance) AS balance FROM (SELECT id, balance FROM {TABLE} UNION ALL SELECT id, balance FROM {TABLE})
        GROUP BY id ORDER BY id LIMIT {ROWS})""",
    f"""SELECT count(*), sum(a.balance) FROM {TABLE} a, {TABLE} b, {TABLE} c WHERE a.id = b.id AND b.id = c.id""",
]


@pytest.fixture(scope="module")
def accounts():
    with bank() as server:
        server.psql("CREATE ROLE narrow LOGIN PASSWORD 'demo' CONNECTION LIMIT 2; GRANT pg_read_all_data TO narrow")
        yield server


@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_scans_that_wait_for_each_other_share_two_sessions(accounts, number):
    with serving(catalog(accounts, **{"connections-max": "2"}), yaml="queries.partitions: 4\n") as server:
        with connect(server.uri) as connection, connection.cursor() as cursor:
            cursor.execute(PUSHDOWN_OFF)
            cursor.fetchall()
            cursor.execute(f"SET SESSION query_max_run_time = '{FINISH_SECONDS}s'")
            cursor.fetchall()
            cursor.execute(QUERIES[number])
            assert [tuple(map(int, row)) for row in cursor.fetchall()] == [(ROWS, TOTAL)]


@pytest.mark.parametrize("sessions_max", ["2", "8"])
def test_a_role_with_two_sessions_serves_a_hundred_clients(accounts, sessions_max):
    """meesh knows the limit, or finds out."""
    keys = {"connection-user": "narrow", "connections-max": sessions_max}
    answers: list = [None] * CLIENTS

    def ask(number: int) -> None:
        try:
            client = FlightSql(server.uri, timeout_s=FINISH_SECONDS, keep_session=True)
            if number % 2:
                client.query(PUSHDOWN_OFF)
            table = client.query(f"SELECT sum(balance) AS x FROM {TABLE} WHERE id % {CLIENTS} = {number}")
            answers[number] = int(table.column(0)[0].as_py())
            client.close()
        except Exception as error:
            answers[number] = error

    with serving(catalog(accounts, **keys)) as server:
        clients = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    failed = [answer for answer in answers if answer != TOTAL // CLIENTS]
    assert not failed, f"{len(failed)} of {CLIENTS} failed, as {failed[0]}"
