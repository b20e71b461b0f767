"""Federated TPC-H: nation, customer and orders in PostgreSQL, the other tables Parquet in S3; meesh and DuckDB."""

import answers
import peers
import plans
from engines import Meesh, sources
from fixtures import PARQUET_TABLES
from part import Part, first_line, geometric_mean, ratio
from rounds import interleaved


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
