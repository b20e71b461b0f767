"""Writes benches/report/: latest.json with every figure and row, report.md for people, and a chart a part.

A part that was not run keeps what its last run left in latest.json.
"""

import datetime as dt
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import charts
import congestion
import fed
from goals import FIGURES
from part import Part, ratio
from support.meesh import binary
from support.postgres import bin_dir

HEAD = """# Benchmarks

The engines take turns within a run, medians are shown, and every answer is compared before anything is timed. What
takes less than 50 ms is run nine times in a row at its turn, and their median counts. Seconds of another run or machine
do not compare; the ratios do. Goals are meant for scale factor 1 on two cores: at smaller ones, fixed costs weigh more.
CPU and memory are those of the engine's own process, without PostgreSQL's and the S3 server's.

{goals_met}
"""
FACTS = """\
Scale factor {scale}, {rounds} rounds, {date}, on {machine}.
{meesh}; {postgres}; {s3} as S3 server; {peers}."""
# Part: heading, and what its tables show.
ABOUT = {
    "fed": ("Federated TPC-H", """\
PostgreSQL holds nation, customer and orders; the other tables are Parquet in an S3 server. meesh through Flight SQL;
DuckDB with its postgres and httpfs extensions, in process; two threads each. "From PG" is what meesh fetched from
PostgreSQL."""),
    "scan": ("Reading a table of PostgreSQL", """\
lineitem, all 16 columns, into Arrow. "Drained": the server reads and decodes the table and drops its rows (EXPLAIN
ANALYZE). "Flight": a client reads them. Memory is the peak of the engine's process above what it had before its first
scan."""),
    "keys": ("A few keys joined with a large table", """\
Keys on one side, lineitem on the other; "clustered" keys are neighbours, "spread" ones are evenly spread over the
table. psql gets the rows with `l_orderkey = any('{…}')`. The goal where PostgreSQL holds the table: meesh's own time
without any key plus 1.7 times psql's; above 94,000 keys, 1.1 times DuckDB's. Where S3 holds it: DuckDB's time, and 0.8
of that for spread keys. "From PG" is what meesh fetched from PostgreSQL."""),
    "one": ("TPC-H in one PostgreSQL", """\
All tables in one database: meesh through Flight SQL, and psql with the same SQL. A query is sent whole if its plan is
one remote statement and, at most, the final order of its rows; otherwise the operators that meesh runs itself are
named. "From PG" is what meesh fetched from PostgreSQL."""),
    "small": ("Small figures", "Starting, being idle, and the shortest query."),
}


def write(folder: Path, parts: dict[str, Part], facts: dict) -> None:
    """Renews what the parts of this run have measured, and writes all of it."""
    folder.mkdir(exist_ok=True)
    file = folder / "latest.json"
    saved = json.loads(file.read_text()) if file.exists() else {}
    for name, part in parts.items():
        saved[name] = {"facts": facts, "figures": rounded(part.figures), "rows": [rounded(row) for row in part.rows]}
    saved = {name: saved[name] for name in ABOUT if name in saved}
    file.write_text(json.dumps(saved, indent=2, ensure_ascii=False) + "\n")
    sections = [section(folder, name, part) for name, part in saved.items()]
    (folder / "report.md").write_text("\n".join([HEAD.format(goals_met=goals_met(saved)), *sections]))
    print(f"wrote {folder}/report.md, its charts and latest.json")


def rounded(values: dict) -> dict:
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in values.items()}


def facts(scale: str, rounds: int, s3_name: str) -> dict:
    """What a part's figures depend on."""
    return {"date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", "machine": machine(), "scale": scale, "rounds": rounds,
            "s3": s3_name, "meesh": said(binary(), "--version"),
            "postgres": said(bin_dir() / "postgres", "--version").replace("postgres (PostgreSQL)", "PostgreSQL"),
            "peers": f"DuckDB {version('duckdb')}, ADBC {version('adbc-driver-postgresql')}, "
                     f"connectorx {version('connectorx')}"}


def said(*command) -> str:
    """What a program says of itself, in its first line; Debian's package name in brackets is left out."""
    return subprocess.check_output(command, text=True).splitlines()[0].split(" (Debian")[0].strip()


def machine() -> str:
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    sending = f", TCP by {congestion.control()}" if congestion.control() else ""
    return f"{len(os.sched_getaffinity(0))} cores ({model}), {memory:.0f} GiB, {platform.system()}{sending}"


def section(folder: Path, name: str, part: dict) -> str:
    """One part's heading, chart and tables."""
    title, about = ABOUT[name]
    blocks = [f"## {title}\n", f"{about}\n", f"{FACTS.format(**part['facts'])}\n"]
    if chart := getattr(charts, name, None):
        chart(folder / f"{name}.png", part["rows"], part["facts"]["scale"])
        blocks.append(f"![{title}]({name}.png)\n")
    blocks.append(table(["figure", "value", "goal", "met", "what it is"], figure_rows(part["figures"])))
    if name in ROWS:
        blocks.append(ROWS[name](part["rows"]))
    return "\n".join(blocks) + wrong(part["rows"])


def table(head: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *lines])


def goals_met(saved: dict) -> str:
    met = [FIGURES[name].met(value) for part in saved.values() for name, value in part["figures"].items()
           if name in FIGURES and FIGURES[name].met(value) is not None]
    return f"{sum(met)} of {len(met)} goals are met."


def figure_rows(figures: dict[str, float]) -> list[list[str]]:
    return [[name, number(figures[name]), figure.goal(), yes(figure.met(figures[name])), figure.meaning]
            for name, figure in FIGURES.items() if name in figures]


def number(value: float | None) -> str:
    """Three figures or so; a dash for what was not measured."""
    if value is None:
        return "–"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def yes(met: bool | None) -> str:
    return "" if met is None else "yes" if met else "**no**"


def megabytes(size: int | None) -> str:
    return "< 0.01" if size and size < 5000 else number(size and size / 1e6)


def over(row: dict, ours: str, theirs: str) -> str:
    return number(ratio(row[ours], row[theirs]))


def fed_rows(rows: list[dict]) -> str:
    return table(["query", "meesh ms", "DuckDB ms", "ratio", "from PG, MB"],
                 [[row["query"], number(row["meesh_ms"]), number(row["duckdb_ms"]), over(row, "meesh_ms", "duckdb_ms"),
                   megabytes(row["pg_bytes"])] for row in rows]) + beside(rows)


def beside(rows: list[dict]) -> str:
    """Why queries fetch more from PostgreSQL than their answer needs."""
    named = [f"- {row['query']}: {fed.FETCHED_BESIDE[row['query']]}\n" for row in rows if row["query"] in fed.FETCHED_BESIDE]
    return "\nWhat is fetched from PostgreSQL beside the rows that the answer needs:\n\n" + "".join(named) if named else ""


def scan_rows(rows: list[dict]) -> str:
    return table(["way", "streams", "million rows/s", "× COPY BINARY", "CPU ns/row", "memory growth, MB"],
                 [[row["title"], str(row["streams"] or ""),
                   *(number(row[name]) for name in ("mrows_s", "vs_copy", "cpu_ns_row", "growth_mb"))] for row in rows])


def keys_rows(rows: list[dict]) -> str:
    """A table a direction."""
    def line(row: dict) -> list[str]:
        met = row["meesh_ms"] <= row["goal_ms"] if row["meesh_ms"] and row["goal_ms"] else None
        return [row["shape"], f"{row['keys']:,}",
                *(number(row[f"{name}_ms"]) for name in ("meesh", "empty", "psql", "duckdb", "goal")), yes(met),
                megabytes(row["pg_bytes"]), "; ".join(row["filters"])]

    head = ["keys", "number", "meesh ms", "meesh, no keys", "psql ms", "DuckDB ms", "goal ms", "met", "from PG, MB",
            "what became of the keys"]
    titles = {"to_pg": "Keys in S3, lineitem in PostgreSQL", "to_lake": "Keys in PostgreSQL, lineitem in S3"}
    return "\n".join(f"{title}:\n\n" + table(head, [line(row) for row in rows if row["direction"] == direction])
                     for direction, title in titles.items())


def one_rows(rows: list[dict]) -> str:
    """The queries, and the reasons for what meesh computed itself."""
    lines = table(["query", "sent whole", "meesh ms", "psql ms", "ratio", "from PG, MB"],
                 [[row["query"], "yes" if row["whole"] else ", ".join(row["here"]) or "–",
                    number(row["meesh_ms"]), number(row["psql_ms"]), over(row, "meesh_ms", "psql_ms"),
                    megabytes(row["pg_bytes"])] for row in rows])
    reasons = [f"- {row['query']}: {'; '.join(row['not_pushed'])}\n" for row in rows if row["not_pushed"]]
    return lines + ("\nNot pushed, as EXPLAIN says:\n\n" + "".join(reasons) if reasons else "")


ROWS = {"fed": fed_rows, "scan": scan_rows, "keys": keys_rows, "one": one_rows}


def wrong(rows: list[dict]) -> str:
    """How many answers are the peer's, and which are not."""
    asked = [row for row in rows if "wrong" in row]
    if not asked:
        return ""
    different = [f"- {row.get('query') or row['task']}: {row['wrong']}\n" for row in asked if row["wrong"]]
    equal = f"{len(asked) - len(different)} of {len(asked)} answers are equal cell by cell"
    return f"\n{equal} (benches/answers.py states the tolerance).\n{''.join(different)}"
