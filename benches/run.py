#!/usr/bin/env python3
"""`make bench`: federated TPC-H beside DuckDB, and the small figures; writes benches/report/.

nation, customer and orders are in PostgreSQL, the rest is Parquet in S3. The engines run in processes of their own
with two threads each, over the same servers, interleaved query by query; answers are compared before anything is
timed. Ratios of one run mean something on a noisy machine; its seconds do not.

    python benches/run.py [--scale 1] [--rounds 5] [--queries 1,3,18] [--answers-only] [--no-report]
"""

import argparse
import math
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import answers  # noqa: E402
import fixtures  # noqa: E402
import micro  # noqa: E402
import report  # noqa: E402
from engines import DuckDb, Meesh  # noqa: E402


def main() -> int:
    arguments = parse()
    numbers = [int(number) for number in arguments.queries.split(",")] if arguments.queries else range(1, 23)
    queries = {number: (HERE / "tpch" / f"q{number:02}.sql").read_text() for number in numbers}
    print(f"preparing TPC-H scale factor {arguments.scale}: files, PostgreSQL, S3", flush=True)
    with fixtures.s3(arguments.scale) as s3, fixtures.postgres(arguments.scale) as postgres:
        print(f"S3 server: {s3.name}", flush=True)
        duckdb = DuckDb(postgres, s3, fixtures.PARQUET_TABLES)
        meesh = Meesh(postgres, s3)
        try:
            wrong = compare(meesh, duckdb, queries)
            if arguments.answers_only:
                return 1 if wrong else 0
            result = measure([meesh, duckdb], queries, arguments.rounds)
            result.wrong = wrong
            figures = result.figures()
            print_figures(figures := {**figures, **micro.select_1(meesh, 2000)})
            print_figures(scan := micro.pg_scan(meesh, postgres, arguments.rounds))
            figures.update(scan)
        finally:
            meesh.stop()
            duckdb.stop()
        for step in (micro.idle_memory(postgres, s3), micro.first_row(postgres, s3, arguments.rounds)):
            print_figures(step)
            figures.update(step)
        if not arguments.no_report:
            report.write(HERE / "report", result, figures, arguments, s3.name)
    return 1 if wrong else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="federated TPC-H beside DuckDB")
    parser.add_argument("--scale", default="1", help="TPC-H scale factor (default 1)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", help="a list such as 1,3,18 (default: all 22)")
    parser.add_argument("--answers-only", action="store_true", help="compare the answers and leave")
    parser.add_argument("--no-report", action="store_true", help="print, and leave benches/report/ as it is")
    return parser.parse_args()


def compare(meesh, duckdb, queries: dict[int, str]) -> dict[int, str]:
    """Runs each query once on both; what differed or failed, by query. Also the warm-up."""
    wrong = {}
    for number, sql in queries.items():
        try:
            ours, theirs = meesh.run(sql)[1], duckdb.run(sql)[1]
            difference = answers.difference(ours, theirs)
        except Exception as error:
            difference = f"failed: {str(error).splitlines()[0]}"
        if difference:
            wrong[number] = difference
        print(f"q{number:02}  {'same answer' if not difference else 'DIFFERS: ' + difference}", flush=True)
    print(f"{len(queries) - len(wrong)} of {len(queries)} answers are the same", flush=True)
    return wrong


class Result:
    """Seconds by engine and query, and what the engines' processes cost."""

    def __init__(self, engines, queries):
        self.seconds = {engine.name: {number: [] for number in queries} for engine in engines}
        self.cpu_s: dict[str, float] = {}
        self.peak_mb: dict[str, float] = {}
        self.failed: dict[str, set[int]] = {engine.name: set() for engine in engines}
        self.wrong: dict[int, str] = {}
        self.rounds = 0

    def median(self, engine: str, number: int) -> float:
        return statistics.median(self.seconds[engine][number])

    def common(self) -> list[int]:
        """The queries that every engine answered, in every round."""
        failed = set().union(*self.failed.values())
        return [number for number in self.seconds["meesh"] if number not in failed]

    def figures(self) -> dict[str, float]:
        common = self.common()
        if not common:
            return {"fed_failed": len(self.seconds["meesh"])}
        totals = {engine: sum(self.median(engine, number) for number in common) for engine in self.seconds}
        ratios = {number: self.median("meesh", number) / self.median("duckdb", number) for number in common}
        figures = {
            "fed_meesh_s": totals["meesh"],
            "fed_duckdb_s": totals["duckdb"],
            "fed_vs_duckdb": totals["meesh"] / totals["duckdb"],
            "fed_vs_duckdb_geomean": math.exp(statistics.fmean(math.log(ratio) for ratio in ratios.values())),
            "fed_vs_duckdb_worst": max(ratios.values()),
            "fed_queries": len(common),
            "fed_failed": len(self.failed["meesh"]),
            "fed_wrong": len(self.wrong),
        }
        for engine in self.seconds:
            figures[f"fed_{engine}_cpu_s"] = self.cpu_s[engine] / self.rounds
            figures[f"fed_{engine}_peak_mb"] = self.peak_mb[engine]
        figures["fed_cpu_vs_duckdb"] = self.cpu_s["meesh"] / self.cpu_s["duckdb"]
        for number in common:
            for engine in self.seconds:
                figures[f"q{number:02}_{engine}_ms"] = self.median(engine, number) * 1000
        return figures


def measure(engines, queries: dict[int, str], rounds: int) -> Result:
    """Runs all rounds, the engines taking turns in who goes first."""
    result = Result(engines, queries)
    result.rounds = rounds
    before = {engine.name: engine.cost.cpu_s() for engine in engines}
    for turn in range(rounds):
        for number, sql in queries.items():
            for engine in engines if turn % 2 == 0 else reversed(engines):
                try:
                    result.seconds[engine.name][number].append(engine.run(sql)[0])
                except Exception as error:
                    result.failed[engine.name].add(number)
                    print(f"{engine.name} failed q{number:02}: {str(error).splitlines()[0]}", flush=True)
        totals = {name: sum(times[turn] for times in by_query.values() if len(times) > turn)
                  for name, by_query in result.seconds.items()}
        print(f"round {turn + 1}: " + "  ".join(f"{name} {total:.2f} s" for name, total in totals.items()), flush=True)
    for engine in engines:
        result.cpu_s[engine.name] = engine.cost.cpu_s() - before[engine.name]
        result.peak_mb[engine.name] = engine.cost.status_mb("VmHWM")
    return result


def print_figures(figures: dict[str, float]) -> None:
    for name, value in figures.items():
        print(f"{name:28} {value:12.3f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
