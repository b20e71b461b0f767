"""Federated TPC-H: nation, customer and orders in PostgreSQL, the other tables Parquet in S3; meesh and DuckDB."""

import answers
import peers
import plans
from engines import Meesh, sources
from fixtures import PARQUET_TABLES
from part import Part, first_line, geometric_mean, ratio
from rounds import interleaved

# Queries that fetch rows from PostgreSQL which the answer does not need, and why; EXPLAIN ANALYZE shows what was sent.
FETCHED_BESIDE = {
    "q03": "all early orders of the segment. Those without a late line are known from the lake only, whose side of the "
           "join is the larger one and reads by the orders' keys, not the other way round.",
    "q04": "the orders of the quarter, of which nearly all have a late line.",
    "q05": "the orders of the year with their customers' nations, of every region: the region's keys reach `nation`, and "
           "no equality ties customers to it but the one with the supplier, which comes later.",
    "q07": "the orders of the customers of two nations (their keys are sent), of all years: the years are the lines'.",
    "q08": "the orders of two years of the region's customers (their keys are sent), of all parts: the part is the lines'.",
    "q09": "key and date of every order. The lines of the parts have more keys than a list is worth: reading all is cheaper.",
    "q10": "the customers with an order in the quarter, whether a line of it came back or not.",
    "q13": "keys of all customers and orders: the join keeps all and makes 150,000 groups, which takes a third of the time "
           "here.",
    "q18": "key and name of all customers. The 57 orders are found by their keys; the customers are the side of the join "
           "that is read first.",
    "q21": "the keys of all finished orders: which of them have a late line of one supplier is known from the lake only.",
}


def measure(postgres, s3, queries: dict[str, str], rounds: int) -> Part:
    """Compares all answers, then (with rounds > 0) times them."""
    files = [f"tpch.{table}" for table in PARQUET_TABLES]
    with Meesh(sources(postgres, s3)) as meesh, peers.duckdb(postgres, s3, files) as duckdb:
        rows = [compare(meesh, duckdb, name, sql) for name, sql in queries.items()]
        print(f"{sum(not row['wrong'] for row in rows)} of {len(rows)} answers are the same", flush=True)
        if not rounds:
            return Part({}, rows)
        engines = [meesh, duckdb]
        before = {engine.name: engine.cost.cpu_s() for engine in engines}
        times = interleaved({name: {engine.name: lambda engine=engine, sql=sql: engine.run(sql)[0]
                                    for engine in engines} for name, sql in queries.items()}, rounds)
        cpu_s = {engine.name: (engine.cost.cpu_s() - before[engine.name]) / rounds for engine in engines}
        peak_mb = {engine.name: engine.cost.status_mb("VmHWM") for engine in engines}
    for row in rows:
        row |= times.row(row["query"], cpu_s)
    return Part(figures(rows, cpu_s, peak_mb), rows)


def compare(meesh, duckdb, query: str, sql: str) -> dict:
    """Runs a query once on both, which also warms them: what differed, and what meesh got from PostgreSQL."""
    row = {"query": query, "wrong": None, "pg_bytes": None}
    try:
        ours, theirs = meesh.run(sql)[1], duckdb.run(sql)[1]
        row["pg_bytes"] = plans.received(meesh.analyzed(sql), "pg")[1]
        row["wrong"] = answers.difference(ours, theirs)
    except Exception as error:
        row["wrong"] = f"failed: {first_line(error)}"
    print(f"{query}  {'DIFFERS: ' + row['wrong'] if row['wrong'] else 'same answer'}", flush=True)
    return row


def figures(rows: list[dict], cpu_s: dict[str, float], peak_mb: dict[str, float]) -> dict[str, float]:
    """Totals are of the queries that both engines answered in every round; CPU seconds are a round's."""
    common = [row for row in rows if not row["failed"]]
    named = {
        "fed_queries": len(common),
        "fed_failed": sum("meesh" in row["failed"] for row in rows),
        "fed_wrong": sum(row["wrong"] is not None for row in rows),
    }
    if not common:
        return named
    ratios = [ratio(row["meesh_ms"], row["duckdb_ms"]) for row in common]
    total_s = {engine: sum(row[f"{engine}_ms"] for row in common) / 1000 for engine in cpu_s}
    return named | {
        "fed_meesh_s": total_s["meesh"],
        "fed_duckdb_s": total_s["duckdb"],
        "fed_vs_duckdb": total_s["meesh"] / total_s["duckdb"],
        "fed_vs_duckdb_geomean": geometric_mean(ratios),
        "fed_vs_duckdb_worst": max(ratios),
        "fed_meesh_cpu_s": cpu_s["meesh"],
        "fed_duckdb_cpu_s": cpu_s["duckdb"],
        "fed_cpu_vs_duckdb": cpu_s["meesh"] / cpu_s["duckdb"],
        "fed_meesh_peak_mb": peak_mb["meesh"],
        "fed_duckdb_peak_mb": peak_mb["duckdb"],
        "fed_pg_mb": sum(row["pg_bytes"] or 0 for row in rows) / 1e6,
    }
