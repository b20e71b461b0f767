"""The engines under test, each in a process of its own: meesh through Flight SQL, psql, Python peers through a pipe.

All have `name`, `cost` (of that process), `run(sql)` and `stop()`; `run` gives seconds and whatever the engine answers.
"""

import multiprocessing
import os
import subprocess
import time
from pathlib import Path

import psutil
import pyarrow as pa

from support.flight_sql import FlightSql, connect_when_up
from support.meesh import Server, postgres_catalog, s3_catalog
from support.postgres import PASSWORD, Postgres, bin_dir

THREADS = 2


def keep_to_two_cores(pid: int) -> None:
    """On a bigger machine an engine gets two cores, as it gets two threads; threads to come inherit them."""
    cores = sorted(os.sched_getaffinity(0))[:THREADS]
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), cores)


class ProcessCost:
    """CPU seconds and memory of a process, from /proc."""

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


class Engine:
    """Stopped at the end of a `with`."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def sources(postgres: Postgres, s3) -> dict[str, dict[str, str]]:
    """meesh's catalogs pg (PostgreSQL), sales (PostgreSQL) and lake (S3)."""
    return {
        "pg": postgres_catalog(postgres, "tpch"),
        "sales": postgres_catalog(postgres, "sales"),
        "lake": s3_catalog(s3.endpoint),
    }


def meesh_server(catalogs: dict[str, dict[str, str]]) -> Server:
    """A [Server] with the benchmark's number of threads, not started yet."""
    return Server(catalogs, yaml=f"queries.partitions: {THREADS}\n")


class Meesh(Engine):
    """`meesh serve` with some catalogs, and one client of it."""

    name = "meesh"

    def __init__(self, catalogs: dict[str, dict[str, str]]):
        self.server = meesh_server(catalogs)
        self.server.start()
        keep_to_two_cores(self.server.process.pid)
        self.cost = ProcessCost(self.server.process.pid)
        self.client: FlightSql = connect_when_up(self.server.uri, self.server.process)

    def run(self, sql: str) -> tuple[float, pa.Table]:
        """Seconds from sending the statement to holding its last row, and the rows."""
        started = time.perf_counter()
        table = self.client.query(sql)
        return time.perf_counter() - started, table

    def drain(self, sql: str) -> tuple[float, int]:
        """Seconds until the client has read and dropped every row, and their number."""
        started = time.perf_counter()
        rows = self.client.drain(sql)
        return time.perf_counter() - started, rows

    def explain(self, sql: str) -> str:
        return self.client.query(f"EXPLAIN {sql}").column(0)[0].as_py()

    def analyzed(self, sql: str) -> str:
        """The plan of a query that ran to its end inside the server, its rows dropped there."""
        return self.client.query(f"EXPLAIN ANALYZE {sql}").column(0)[0].as_py()

    def stop(self) -> None:
        self.client.close()
        self.server.stop()


class Psql(Engine):
    """One psql session on the database `tpch`, whose rows go to /dev/null; seconds are those of its `\\timing`."""

    name = "psql"

    def __init__(self, postgres: Postgres, statement_timeout_s: int = 0):
        environment = {**os.environ, "PGPASSWORD": PASSWORD,
                       "PGOPTIONS": f"-c statement_timeout={statement_timeout_s}s"}
        # Into a pipe psql would keep what it prints until its buffer is full.
        command = ["stdbuf", "-oL", bin_dir() / "psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(postgres.port),
                   "-U", "postgres", "-d", "tpch"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, env=environment)
        keep_to_two_cores(self.process.pid)
        self.cost = ProcessCost(self.process.pid)
        self._send("\\timing on\n\\o /dev/null\n")
        self.run("SELECT 1")

    def run(self, sql: str) -> tuple[float, None]:
        self._send(f"{sql.rstrip()}\n;\n")
        said = []
        for line in self.process.stdout:
            if line.startswith("Time: "):
                if any("ERROR:" in earlier for earlier in said):
                    raise RuntimeError("".join(said).strip())
                return float(line.split()[1]) / 1000, None
            said.append(line)
        raise RuntimeError(f"psql ended: {''.join(said)}")

    def _send(self, text: str) -> None:
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)


class Worker(Engine):
    """A Python engine in a process of its own.

    `open_engine(*arguments)`, a function of a module, runs in that process and gives the function that answers there.
    """

    def __init__(self, name: str, open_engine, *arguments):
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, open_engine, arguments), daemon=True)
        self.process.start()
        # So that the end of that process is noticed here.
        theirs.close()
        self._receive()
        self.cost = ProcessCost(self.process.pid)

    def run(self, sql: str):
        """Seconds in the engine's own process, and its answer."""
        self.pipe.send(sql)
        return self._receive()

    def _receive(self):
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self) -> None:
        self.pipe.send(None)
        self.process.join(timeout=30)


def _work(pipe, open_engine, arguments) -> None:
    keep_to_two_cores(os.getpid())
    answer = open_engine(*arguments)
    pipe.send("ready")
    while (sql := pipe.recv()) is not None:
        try:
            started = time.perf_counter()
            result = answer(sql)
            pipe.send((time.perf_counter() - started, result))
        except Exception as error:
            pipe.send(RuntimeError(str(error)))
