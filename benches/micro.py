"""The small figures: one table out of PostgreSQL, idle memory, time to the first row, latency of `select 1`."""

import os
import statistics
import subprocess
import sys
import time

from engines import ProcessCost, duckdb_setup, meesh_server
from support.flight_sql import FlightSql, connect_when_up
from support.meesh import binary
from support.postgres import PASSWORD, bin_dir

SCAN = "SELECT * FROM pg.public.lineitem"
FIRST_ROW = """SELECT n_name, r_name FROM pg.public.nation JOIN lake.tpch.region ON n_regionkey = r_regionkey
ORDER BY n_name"""


def copy_binary_s(postgres) -> float:
    """Seconds of `psql COPY BINARY > /dev/null`, the yardstick of a scan."""
    command = [bin_dir() / "psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "postgres",
               "-d", "tpch", "-c", "COPY (SELECT * FROM lineitem) TO STDOUT (FORMAT binary)"]
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env={**os.environ, "PGPASSWORD": PASSWORD})
    return time.perf_counter() - started


def pg_scan(meesh, postgres, rounds: int) -> dict[str, float]:
    """All 16 columns of lineitem into Arrow (EXPLAIN ANALYZE runs the plan and drops its rows), beside COPY BINARY."""
    rows = int(postgres.psql("SELECT count(*) FROM lineitem", database="tpch"))
    copies, scans, drains, cpu = [], [], [], []
    for _ in range(rounds):
        copies.append(copy_binary_s(postgres))
        before = meesh.cost.cpu_s()
        seconds, plan = meesh.run(f"EXPLAIN ANALYZE {SCAN}")
        cpu.append(meesh.cost.cpu_s() - before)
        scans.append(seconds)
        started = time.perf_counter()
        drained = meesh.client.drain(SCAN)
        drains.append(time.perf_counter() - started)
        if drained != rows:
            raise RuntimeError(f"the scan gave {drained} rows, the table has {rows}")
    copy, scan, drain = map(statistics.median, (copies, scans, drains))
    return {
        "pg_copy_mrows_s": rows / copy / 1e6,
        "pg_scan_1_mrows_s": rows / scan / 1e6,
        "pg_scan_1_vs_copy": copy / scan,
        "pg_scan_1_cpu_ns_row": statistics.median(cpu) / rows * 1e9,
        "pg_scan_to_client_mrows_s": rows / drain / 1e6,
        "pg_scan_to_client_vs_copy": copy / drain,
    }


def idle_memory(postgres, s3) -> dict[str, float]:
    """Memory two seconds after the tables of three catalogs were listed."""
    server = meesh_server(postgres, s3)
    try:
        server.start()
        client = connect_when_up(server.uri, server.process)
        for schema in ["pg.public", "sales.public", "lake.tpch"]:
            if client.query(f"SHOW TABLES FROM {schema}").num_rows == 0:
                raise RuntimeError(f"schema {schema} shows no tables")
        client.close()
        time.sleep(2)
        cost = ProcessCost(server.process.pid)
        return {"idle_rss_mb": cost.status_mb("VmRSS"), "idle_anon_mb": cost.status_mb("RssAnon")}
    finally:
        server.stop()


def first_row(postgres, s3, rounds: int) -> dict[str, float]:
    """From exec to the first row that joins PostgreSQL and S3: meesh (serve and Flight; `meesh sql`), and DuckDB."""
    figures: dict[str, list[float]] = {"first_row_ms": [], "first_row_cli_ms": [], "first_row_duckdb_ms": []}
    script = duckdb_setup(postgres, s3, ["region"]) + f"print(connection.execute('''{FIRST_ROW}''').fetchone())"
    for _ in range(rounds):
        server = meesh_server(postgres, s3)
        try:
            started = time.perf_counter()
            figures["first_row_ms"].append((_serve_to_first_row(server) - started) * 1000)
            started = time.perf_counter()
            _first_line([binary(), "sql", "--etc", server.etc, "--output", "csv", "-e", FIRST_ROW], lines=2)
            figures["first_row_cli_ms"].append((time.perf_counter() - started) * 1000)
        finally:
            server.stop()
        started = time.perf_counter()
        _first_line([sys.executable, "-c", script], lines=1)
        figures["first_row_duckdb_ms"].append((time.perf_counter() - started) * 1000)
    medians = {name: statistics.median(values) for name, values in figures.items()}
    return {**medians, "first_row_vs_duckdb": medians["first_row_ms"] / medians["first_row_duckdb_ms"]}


def _serve_to_first_row(server) -> float:
    with open(server.etc / "log", "wb") as log:
        server.process = subprocess.Popen([binary(), "serve", "--etc", server.etc], stdout=log, stderr=log,
                                          stdin=subprocess.DEVNULL)
    client = connect_when_up(server.uri, server.process)
    if client.first_batch(FIRST_ROW).num_rows == 0:
        raise RuntimeError("the first row did not come")
    ended = time.perf_counter()
    client.close()
    return ended


def _first_line(command: list, lines: int) -> None:
    """Runs a command up to the n-th line it prints."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        for _ in range(lines):
            if not process.stdout.readline():
                raise RuntimeError(f"{command[0]} printed nothing")
        process.terminate()


def select_1(meesh, count: int) -> dict[str, float]:
    """Latency of `select 1` on one connection, GetFlightInfo and DoGet, and what it costs the server."""
    client = FlightSql(meesh.server.uri)
    times = []
    for _ in range(200):
        client.query("select 1")
    before = meesh.cost.cpu_s()
    for _ in range(count):
        started = time.perf_counter()
        client.query("select 1")
        times.append((time.perf_counter() - started) * 1000)
    cpu = meesh.cost.cpu_s() - before
    client.close()
    times.sort()
    return {"select1_p50_ms": times[count // 2], "select1_p99_ms": times[count * 99 // 100],
            "select1_server_cpu_us": cpu / count * 1e6}
