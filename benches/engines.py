"""The two engines under test, each in a process of its own: meesh through Flight SQL, DuckDB through a pipe."""

import multiprocessing
import os
import time
from pathlib import Path

import psutil
import pyarrow as pa

from support.flight_sql import FlightSql, connect_when_up
from support.meesh import Server, postgres_catalog, s3_catalog

THREADS = 2


def two_cores() -> None:
    """On a bigger machine the engines get two cores, as they get two threads."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > THREADS:
        os.sched_setaffinity(0, cores[:THREADS])


class ProcessCost:
    """CPU seconds and peak memory of a process, from /proc."""

    def __init__(self, pid: int):
        self.process = psutil.Process(pid)

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system

    def status_mb(self, field: str) -> float:
        """VmHWM (peak), VmRSS, RssAnon ... of /proc/PID/status."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024 / 1e6
        return float("nan")


class Meesh:
    """`meesh serve` with the catalogs pg (PostgreSQL), sales (PostgreSQL) and lake (S3)."""

    name = "meesh"

    def __init__(self, postgres, s3):
        self.server = meesh_server(postgres, s3)
        self.server.start()
        self.cost = ProcessCost(self.server.process.pid)
        if len(os.sched_getaffinity(0)) > THREADS:
            psutil.Process(self.server.process.pid).cpu_affinity(sorted(os.sched_getaffinity(0))[:THREADS])
        self.client: FlightSql = connect_when_up(self.server.uri, self.server.process)

    def run(self, sql: str) -> tuple[float, pa.Table]:
        """Seconds from sending the statement to holding its last row, and the rows."""
        started = time.perf_counter()
        table = self.client.query(sql)
        return time.perf_counter() - started, table

    def stop(self) -> None:
        self.client.close()
        self.server.stop()


def meesh_server(postgres, s3) -> Server:
    """A [Server] on the benchmark's sources, not started yet."""
    return Server({
        "pg": postgres_catalog(postgres, "tpch"),
        "sales": postgres_catalog(postgres, "sales"),
        "lake": s3_catalog(s3.endpoint),
    })


DUCKDB_SETUP = """
import sys
sys.path[:0] = {paths!r}
from support.duckdb_peer import attach_postgres, connect, load_extension
connection = connect(threads={threads})
load_extension(connection, "httpfs")
connection.execute('''CREATE SECRET (TYPE s3, KEY_ID 'demo', SECRET 'demo-secret', REGION 'us-east-1',
    ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false)''')
attach_postgres(connection, "pg", {port}, "tpch")
connection.execute("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.tpch")
for table in {tables!r}:
    connection.execute(
        f"CREATE VIEW lake.tpch.{{table}} AS SELECT * FROM read_parquet('s3://lake/tpch/{{table}}.parquet')")
"""


def duckdb_setup(postgres, s3, tables: list[str]) -> str:
    """The Python text that opens DuckDB on the same sources, as `connection`."""
    here = Path(__file__).parent
    return DUCKDB_SETUP.format(paths=[str(here.parent / "tests")], threads=THREADS, port=postgres.port,
                               host=s3.endpoint.removeprefix("http://"), tables=tables)


class DuckDb:
    """DuckDB with its postgres and httpfs extensions."""

    name = "duckdb"

    def __init__(self, postgres, s3, tables: list[str]):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.worker = context.Process(target=_duckdb_worker, args=(theirs, duckdb_setup(postgres, s3, tables)))
        self.worker.start()
        self._receive()
        self.cost = ProcessCost(self.worker.pid)

    def run(self, sql: str) -> tuple[float, pa.Table]:
        """Seconds to a whole Arrow table in DuckDB's own process, and the rows."""
        self.pipe.send(sql)
        return self._receive()

    def _receive(self):
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self) -> None:
        self.pipe.send(None)
        self.worker.join(timeout=30)


def _duckdb_worker(pipe, setup: str) -> None:
    two_cores()
    namespace: dict = {}
    exec(setup, namespace)
    connection = namespace["connection"]
    pipe.send("ready")
    while (sql := pipe.recv()) is not None:
        try:
            started = time.perf_counter()
            table = connection.execute(sql).fetch_arrow_table()
            pipe.send((time.perf_counter() - started, table))
        except Exception as error:
            pipe.send(RuntimeError(str(error)))
