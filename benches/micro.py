"""The small figures: idle memory, time to the first row, latency of `select 1`."""

import statistics
import subprocess
import sys
import time

from engines import Meesh, ProcessCost, meesh_server, sources
from part import Part
from peers import duckdb_setup
from support.flight_sql import FlightSql, connect_when_up
from support.meesh import binary

FIRST_ROW = """SELECT n_name, r_name FROM pg.public.nation JOIN lake.tpch.region ON n_regionkey = r_regionkey
ORDER BY n_name"""


def measure(postgres, s3, rounds: int) -> Part:
    with Meesh(sources(postgres, s3)) as meesh:
        latency = select_1(meesh, 2000)
    return Part({**latency, **idle_memory(postgres, s3), **first_row(postgres, s3, rounds)})


def idle_memory(postgres, s3) -> dict[str, float]:
    """Memory two seconds after the tables of three catalogs were listed."""
    server = meesh_server(sources(postgres, s3))
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
    script = duckdb_setup(postgres, s3, ["tpch.region"]) + f"print(connection.execute('''{FIRST_ROW}''').fetchone())"
    for _ in range(rounds):
        server = meesh_server(sources(postgres, s3))
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
