"""lineitem out of PostgreSQL: all 16 columns into Arrow, beside `psql COPY BINARY`.

meesh is measured twice, on servers of their own. "Drained": EXPLAIN ANALYZE runs the plan of the SELECT and drops its
rows inside the server; counting a column instead would be computed in PostgreSQL, or read fewer columns. "Flight": a
client reads the rows and drops them.
"""

import contextlib
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import peers
import plans
from engines import Meesh, Psql, Worker
from part import Part, ratio
from rounds import interleaved
from support.meesh import postgres_catalog
from support.postgres import Postgres

COPY = "COPY (SELECT * FROM lineitem) TO STDOUT (FORMAT binary)"
SCAN = "SELECT * FROM pg.public.lineitem"
SCAN_THERE = "SELECT * FROM public.lineitem"
COLUMNS = 16
# `connections-max` that leaves it to the number of partitions, two, how many connections read a table at once.
SEVERAL = 8


class Reading(NamedTuple):
    """One time through the table; None: not known."""

    seconds: float
    rows: int | None = None
    streams: int | None = None


@dataclass
class Contestant:
    """One way to get the table."""

    title: str
    engine: Meesh | Psql | Worker
    run: Callable[[], Reading]
    streams: int | None = None

    def __post_init__(self):
        self.idle_mb = self.engine.cost.status_mb("VmRSS")


def measure(postgres: Postgres, rounds: int) -> Part:
    rows = int(postgres.psql("SELECT count(*) FROM lineitem", database="tpch"))
    with contextlib.ExitStack() as opened:
        contestants = {}
        for name, title, open_engine, run in WAYS:
            engine = opened.enter_context(open_engine(postgres))
            contestants[name] = Contestant(title, engine, functools.partial(run, engine))
        for name, one in contestants.items():
            first = one.run()
            one.streams = first.streams
            check(name, first.rows, rows)
        before = {name: one.engine.cost.cpu_s() for name, one in contestants.items()}
        runs = {name: lambda one=one: one.run().seconds for name, one in contestants.items()}
        times = interleaved({"scan": runs}, rounds)
        cpu_s = {name: (one.engine.cost.cpu_s() - before[name]) / times.runs["scan"][name]
                 for name, one in contestants.items()}
        table = [row(name, one, times.median_s("scan", name), cpu_s[name], rows) for name, one in contestants.items()]
    for each in table:
        each["vs_copy"] = ratio(each["mrows_s"], table[0]["mrows_s"])
    return Part(figures({each["method"]: each for each in table}), table)


def one_server(connections_max: int, postgres: Postgres) -> Meesh:
    """A server with PostgreSQL alone, that has spoken to it once."""
    meesh = Meesh({"pg": postgres_catalog(postgres, "tpch", **{"connections-max": str(connections_max)})})
    meesh.run("SELECT n_name FROM pg.public.nation")
    return meesh


def drained(meesh: Meesh) -> Reading:
    """meesh drops the rows itself; fails unless it read every column."""
    started = time.perf_counter()
    plan = meesh.analyzed(SCAN)
    seconds = time.perf_counter() - started
    if plan.count('"l_') < COLUMNS:
        raise RuntimeError(f"the scan does not read all columns:\n{plan}")
    return Reading(seconds, plans.received(plan, "pg")[0], plans.streams(plan))


def worker(name: str, open_engine, *arguments):
    """How to open a peer that is given PostgreSQL's port and `arguments`."""
    return lambda postgres: Worker(name, open_engine, postgres.port, *arguments)


def copy_out(psql: Psql) -> Reading:
    return Reading(psql.run(COPY)[0])


def through_flight(meesh: Meesh) -> Reading:
    return Reading(*meesh.drain(SCAN))


def duckdb_scan(duckdb: Worker) -> Reading:
    return Reading(*duckdb.run(SCAN))


def plain_scan(peer: Worker) -> Reading:
    return Reading(*peer.run(SCAN_THERE))


# Name, title, how to open the engine, how it gets the table. COPY is the first: all others are compared with it.
WAYS = [
    ("copy", "psql COPY BINARY > /dev/null", Psql, copy_out),
    ("meesh_1", "meesh, 1 connection, drained", functools.partial(one_server, 1), drained),
    ("meesh_1_flight", "meesh, 1 connection, Flight", functools.partial(one_server, 1), through_flight),
    ("meesh_2", "meesh, 2 connections, drained", functools.partial(one_server, SEVERAL), drained),
    ("meesh_2_flight", "meesh, 2 connections, Flight", functools.partial(one_server, SEVERAL), through_flight),
    ("duckdb_1", "DuckDB, 1 thread", worker("duckdb_1", peers.open_duckdb_stream, 1), duckdb_scan),
    ("duckdb_2", "DuckDB, 2 threads", worker("duckdb_2", peers.open_duckdb_stream, 2), duckdb_scan),
    ("adbc", "ADBC for PostgreSQL", worker("adbc", peers.open_adbc), plain_scan),
    ("connectorx_1", "connectorx, 1 partition", worker("connectorx_1", peers.open_connectorx, 1), plain_scan),
    ("connectorx_2", "connectorx, 2 partitions", worker("connectorx_2", peers.open_connectorx, 2), plain_scan),
]


def check(name: str, got: int | None, rows: int) -> None:
    if got is not None and got != rows:
        raise RuntimeError(f"{name} gave {got} rows, the table has {rows}")


def row(name: str, contestant: Contestant, seconds: float | None, cpu_s: float, rows: int) -> dict:
    """CPU and memory are of the contestant's own process; growth is from idle to the peak."""
    return {
        "method": name,
        "title": contestant.title,
        "streams": contestant.streams,
        "mrows_s": seconds and rows / seconds / 1e6,
        "cpu_ns_row": cpu_s / rows * 1e9,
        "growth_mb": contestant.engine.cost.status_mb("VmHWM") - contestant.idle_mb,
    }


def figures(by_method: dict[str, dict]) -> dict[str, float]:
    def speed(method: str, peer: str) -> float | None:
        return ratio(by_method[method]["mrows_s"], by_method[peer]["mrows_s"])

    named = {"scan_copy_mrows_s": by_method["copy"]["mrows_s"]}
    for connections in (1, 2):
        inside, outside = f"meesh_{connections}", f"meesh_{connections}_flight"
        named |= {
            f"scan_{connections}_mrows_s": by_method[inside]["mrows_s"],
            f"scan_{connections}_vs_copy": speed(inside, "copy"),
            f"scan_{connections}_cpu_ns_row": by_method[inside]["cpu_ns_row"],
            f"scan_{connections}_growth_mb": by_method[inside]["growth_mb"],
            f"scan_{connections}_flight_vs_drained": speed(outside, inside),
            f"scan_{connections}_flight_growth_mb": by_method[outside]["growth_mb"],
        }
    named |= {"scan_2_vs_duckdb": speed("meesh_2", "duckdb_2"), "scan_2_vs_adbc": speed("meesh_2", "adbc")}
    return {name: value for name, value in named.items() if value is not None}
