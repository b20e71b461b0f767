"""PostgreSQL dies, is not there, has no connection left, or its reader goes away: one clear error, and life goes on."""

import threading
import time

import pytest

from support.adbc import connect, rows, status_and_message
from support.flight_sql import FlightSql
from support.meesh import postgres_catalog, run, s3_catalog, serving
from support.postgres import Postgres, free_port

# About 300 MB: more than any buffer between the table and a client that stops reading.
BIG_TABLE = """
CREATE TABLE big AS SELECT g AS id, md5(g::text) || repeat(md5((g + 1)::text), 4) AS text
FROM generate_series(1, 1500000) g;
GRANT SELECT ON big TO meesh_reader;
CHECKPOINT;
"""
SCAN = "SELECT * FROM big_one.public.big"
ACTIVE = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name LIKE 'meesh/%' AND state IN ('active', 'idle in transaction')
"""


@pytest.fixture(scope="module")
def big_postgres():
    server = Postgres("big")
    try:
        server.start()
        server.psql("CREATE DATABASE big_one; CREATE ROLE meesh_reader LOGIN PASSWORD 'demo'")
        server.psql(BIG_TABLE, database="big_one")
        yield server
    finally:
        server.destroy()


@pytest.fixture
def faulty(big_postgres, sales_postgres):
    """meesh on a server that is about to fail, beside one that is well."""
    catalogs = {
        "big_one": postgres_catalog(big_postgres, "big_one"),
        "sales": postgres_catalog(sales_postgres, "sales"),
    }
    if not big_postgres.answers():
        big_postgres.start()
    with serving(catalogs) as server:
        yield server


def until(condition, seconds: float) -> float:
    """Seconds until `condition()` holds; fails when that takes longer than `seconds`."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - started


@pytest.mark.parametrize("fault", ["immediate", "fast", "terminate"])
def test_postgres_dies_in_the_middle_of_a_scan(faulty, big_postgres, fault):
    with connect(faulty.uri) as connection, connection.cursor() as cursor:
        cursor.execute(SCAN)
        reader = cursor.fetch_record_batch()
        assert reader.read_next_batch().num_rows > 0
        if fault == "terminate":
            big_postgres.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'meesh_reader'")
        else:
            big_postgres.stop(fault)
        with pytest.raises(Exception) as raised:
            for _ in reader:
                pass
    status, message = status_and_message(raised.value)
    assert status == "Unavailable" or "Unavailable" in str(raised.value), raised.value
    assert "big_one" in message and "127.0.0.1" in message
    assert rows(faulty.uri, "SELECT count(*) FROM sales.public.orders") == [(20,)]
    if fault != "terminate":
        big_postgres.start()
    # The pool threw the dead connections away.
    assert rows(faulty.uri, "SELECT count(*) FROM big_one.public.big") == [(1_500_000,)]


def test_fifty_clients_that_go_away_leave_no_backend_at_work(faulty, big_postgres):
    client = FlightSql(faulty.uri)
    slowest = 0.0
    for _ in range(50):
        reader = client.reader(SCAN)
        assert reader.read_chunk().data.num_rows > 0
        assert big_postgres.psql(ACTIVE) != "0"
        reader.cancel()
        slowest = max(slowest, until(lambda: big_postgres.psql(ACTIVE) == "0", 1.0))
    client.close()
    # The pool is whole: as many scans as it has connections run at once.
    results = in_parallel(8, lambda _: rows(faulty.uri, "SELECT count(*) FROM big_one.public.big"))
    assert results == [[(1_500_000,)]] * 8
    print(f"slowest of 50: {slowest * 1000:.0f} ms")


def test_a_closed_connection_stops_its_scan(faulty, big_postgres):
    client = FlightSql(faulty.uri)
    reader = client.reader(SCAN)
    reader.read_chunk()
    del reader
    client.close()
    until(lambda: big_postgres.psql(ACTIVE) == "0", 2.0)
    assert rows(faulty.uri, "SELECT 1") == [(1,)]


def test_a_dead_source_fails_only_the_queries_that_need_it(sales_postgres):
    port = free_port()
    dead = {**postgres_catalog(sales_postgres, "nothing"),
            "connection-url": f"jdbc:postgresql://127.0.0.1:{port}/nothing?sslmode=disable"}
    with serving({"dead": dead, "sales": postgres_catalog(sales_postgres, "sales")}) as server:
        assert rows(server.uri, "SELECT count(*) FROM sales.public.orders") == [(20,)]
        assert ("dead",) in rows(server.uri, "SHOW CATALOGS")
        started = time.monotonic()
        with pytest.raises(Exception) as raised:
            rows(server.uri, "SELECT * FROM dead.public.orders")
        assert time.monotonic() - started < 5
        status, message = status_and_message(raised.value)
        assert status == "Unavailable"
        assert '"dead"' in message and f"127.0.0.1:{port}" in message


def test_definitions_are_asked_for_again_where_the_session_was_lost(faulty, big_postgres):
    """The next table is one that nothing is known of yet, and its definition is asked for over the dead session."""
    for number in range(10):
        big_postgres.psql(f"CREATE TABLE late_{number} AS SELECT {number} AS n; "
                          f"GRANT SELECT ON late_{number} TO meesh_reader", database="big_one")
    for number in range(10):
        big_postgres.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'meesh_reader'")
        assert rows(faulty.uri, f"SHOW COLUMNS FROM big_one.public.late_{number}")[0][0] == "n"


def test_a_check_goes_on_to_the_host_that_lives(sales_postgres, tmp_path):
    port = free_port()
    keys = postgres_catalog(sales_postgres, "sales")
    keys["connection-url"] = keys["connection-url"].replace("//", f"//127.0.0.1:{port},", 1)
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "sales.properties").write_text("".join(f"{key}={value}\n" for key, value in keys.items()))
    done = run("check", "--etc", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"127.0.0.1:{port}" in done.stdout and f"127.0.0.1:{sales_postgres.port}" in done.stdout, done.stdout
    assert "one row" in done.stdout and "FAILED" not in done.stdout, done.stdout


def test_a_source_that_comes_back_is_found_again(sales_postgres):
    late = Postgres("late")
    try:
        with serving({"late": postgres_catalog(late, "sales")}) as server:
            with pytest.raises(Exception, match="late"):
                rows(server.uri, "SELECT count(*) FROM late.public.orders")
            late.start()
            late.psql("CREATE DATABASE sales; CREATE ROLE meesh_reader LOGIN PASSWORD 'demo'")
            late.psql("CREATE TABLE orders AS SELECT 1 AS id; GRANT SELECT ON orders TO meesh_reader", database="sales")

            def answers() -> bool:
                try:
                    return rows(server.uri, "SELECT count(*) FROM late.public.orders") == [(1,)]
                except Exception:
                    return False

            until(answers, 15)
    finally:
        late.destroy()


def test_more_queries_than_connections_wait_for_their_turn(sales_postgres):
    # A role of its own: idle sessions of another meesh on this server must not count against its limit.
    sales_postgres.psql("CREATE ROLE narrow LOGIN PASSWORD 'demo' CONNECTION LIMIT 3; GRANT pg_read_all_data TO narrow")
    catalog = postgres_catalog(sales_postgres, "sales", **{"connection-user": "narrow", "connections-max": "3"})
    sql = "SELECT count(*) FROM sales.public.orders o, sales.public.order_items i WHERE o.order_id = i.order_id"
    try:
        with serving({"sales": catalog}) as server:
            results = in_parallel(60, lambda _: rows(server.uri, sql), threads=20)
        assert results == [[(41,)]] * 60
    finally:
        sales_postgres.psql("DROP ROLE narrow")


def in_parallel(count: int, call, threads: int = 8) -> list:
    """The results of `call(n)`, from this many threads; an exception is a result."""
    results: list = [None] * count
    numbers = iter(range(count))
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results[number] = call(number)
            except Exception as error:
                results[number] = error

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results


def test_a_lake_needs_no_postgres(s3, sales_postgres):
    with serving({"lake": s3_catalog(s3.endpoint)}) as server:
        assert rows(server.uri, "SELECT count(*) FROM lake.raw.costs") == [(7,)]
