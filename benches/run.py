#!/usr/bin/env python3
"""`make bench`: meesh beside DuckDB, psql and other readers of PostgreSQL; writes benches/report/.

    python benches/run.py [--parts fed,scan,keys,one,small] [--scale 1] [--rounds 5] [--queries 1,3,18]
                          [--congestion-control cubic] [--answers-only] [--no-report | --report FOLDER]

fed    TPC-H with nation, customer and orders in PostgreSQL and the rest Parquet in S3
scan   lineitem out of PostgreSQL into Arrow, beside `psql COPY BINARY`
keys   a few keys joined with lineitem, from S3 to PostgreSQL and the other way round
one    TPC-H with all tables in one PostgreSQL, beside psql
small  idle memory, time to the first row, latency of `select 1`

Every engine has a process of its own with two threads. They work on the same servers and take turns in every round;
answers are compared before anything is timed. Ratios of one run mean something on a noisy machine; its seconds do not.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import congestion  # noqa: E402
import fed  # noqa: E402
import fixtures  # noqa: E402
import keys  # noqa: E402
import micro  # noqa: E402
import one  # noqa: E402
import queries  # noqa: E402
import report  # noqa: E402
import scan  # noqa: E402
from part import Part  # noqa: E402

PARTS = {
    "fed": lambda at, options: fed.measure(at.postgres, at.s3, options.texts, options.rounds),
    "scan": lambda at, options: scan.measure(at.postgres, options.rounds),
    "keys": lambda at, options: keys.measure(at.postgres, at.s3, options.scale, options.rounds),
    "one": lambda at, options: one.measure(at.postgres, options.texts, options.rounds),
    "small": lambda at, options: micro.measure(at.postgres, at.s3, options.rounds),
}


def main() -> int:
    options = parse()
    print(f"preparing TPC-H scale factor {options.scale}: files, PostgreSQL, S3", flush=True)
    with congestion.controlled_by(options.congestion_control), fixtures.s3(options.scale) as s3, \
            fixtures.postgres(options.scale) as postgres:
        print(f"S3 server: {s3.name}", flush=True)
        at = argparse.Namespace(s3=s3, postgres=postgres)
        if options.answers_only:
            return 0 if fed.measure(postgres, s3, options.texts, rounds=0).is_right() else 1
        done = {name: part(name, at, options) for name in options.parts}
        if not options.no_report:
            report.write(options.report, done, report.facts(options.scale, options.rounds, s3.name))
    return 0 if all(each.is_right() for each in done.values()) else 1


def part(name: str, at, options) -> Part:
    print(f"== {name}", flush=True)
    measured = PARTS[name](at, options)
    for figure, value in measured.figures.items():
        print(f"{figure:36} {value:12.3f}", flush=True)
    return measured


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS), help="default: all")
    parser.add_argument("--scale", default="1", help="TPC-H scale factor (default 1)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", help="of TPC-H, a list such as 1,3,18 (default: all 22)")
    parser.add_argument("--congestion-control", metavar="NAME",
                        help="TCP's on this machine during the run, such as cubic; needs root (default: as it is set)")
    parser.add_argument("--answers-only", action="store_true", help="compare the answers of fed and leave")
    parser.add_argument("--no-report", action="store_true", help="only print")
    parser.add_argument("--report", type=Path, default=HERE / "report", metavar="FOLDER",
                        help="where to write (default: benches/report)")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    numbers = map(int, options.queries.split(",")) if options.queries else range(1, 23)
    options.texts = queries.tpch(numbers)
    return options


if __name__ == "__main__":
    sys.exit(main())
