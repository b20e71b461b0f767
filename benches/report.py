"""Writes benches/report/: report.md for people, chart.png, and latest.json with every figure by name."""

import datetime as dt
import json
import os
import platform
import subprocess
from pathlib import Path

import duckdb
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from support.meesh import binary  # noqa: E402
from support.postgres import bin_dir  # noqa: E402

PAGE = """# Federated TPC-H, scale factor {scale}

{date}, on {machine}.

{postgres} holds nation, customer and orders; the other tables are Parquet in an S3 server
({s3}), all on this machine.
{meesh}, through Flight SQL; DuckDB {duckdb} with its postgres and httpfs extensions, in process. Two threads each,
{rounds} rounds, engines interleaved query by query, medians. The servers' work counts in the seconds, and not in the
engines' CPU. Seconds of another run or machine do not compare; the ratios do.

![seconds by query](chart.png)

| | meesh | DuckDB | ratio |
|---|---|---|---|
{summary}

{answers}

| query | meesh ms | DuckDB ms | ratio |
|---|---|---|---|
{queries}

| figure | value | what it is |
|---|---|---|
{figures}
"""

MEANINGS = {
    "pg_scan_1_vs_copy": "lineitem, 16 columns, into Arrow over one connection: times the speed of `psql COPY BINARY`",
    "pg_scan_1_mrows_s": "the same in million rows a second (EXPLAIN ANALYZE: the rows are dropped in the server)",
    "pg_copy_mrows_s": "`psql COPY BINARY > /dev/null`, interleaved with it",
    "pg_scan_1_cpu_ns_row": "the server's CPU time for it, nanoseconds a row",
    "pg_scan_to_client_mrows_s": "the same table through Flight SQL to a client, million rows a second",
    "pg_scan_to_client_vs_copy": "times the speed of `psql COPY BINARY`",
    "idle_rss_mb": "memory with three catalogs open, MB; most of it is mapped program",
    "idle_anon_mb": "of it, anonymous (heap and stacks)",
    "first_row_ms": "exec of `meesh serve` to the first row joined from PostgreSQL and S3 at a Flight client",
    "first_row_cli_ms": "exec of `meesh sql -e` to the same row",
    "first_row_duckdb_ms": "start of Python with DuckDB to the same row",
    "first_row_vs_duckdb": "first_row_ms / first_row_duckdb_ms",
    "select1_p50_ms": "`select 1` through Flight SQL, one client, median",
    "select1_p99_ms": "99th percentile",
    "select1_server_cpu_us": "the server's CPU time for it, microseconds",
}


def write(folder: Path, result, figures: dict[str, float], arguments, s3_name: str) -> None:
    folder.mkdir(exist_ok=True)
    rounded = {name: float(f"{value:.6g}") for name, value in figures.items()}
    facts = {"date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", "machine": machine(), "scale": arguments.scale,
             "rounds": arguments.rounds, "s3": s3_name, "duckdb": duckdb.__version__}
    (folder / "latest.json").write_text(json.dumps({**facts, **rounded}, indent=2) + "\n")
    chart(folder / "chart.png", result, arguments.scale)
    page = PAGE.format(
        **facts, postgres=said(bin_dir() / "postgres", "--version"), meesh=said(binary(), "--version"),
        summary=summary(figures), answers=answers(result),
        queries="\n".join(query_row(result, number) for number in result.seconds["meesh"]),
        figures="\n".join(f"| {name} | {figures[name]:.3g} | {meaning} |" for name, meaning in MEANINGS.items()
                          if name in figures))
    (folder / "report.md").write_text(page)
    print(f"wrote {folder}/report.md, chart.png and latest.json")


def said(*command) -> str:
    """What a program says of itself, in its first line; Debian's package name in brackets is left out."""
    return subprocess.check_output(command, text=True).splitlines()[0].split(" (Debian")[0].strip()


def machine() -> str:
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores ({model}), {memory:.0f} GiB, {platform.system()}"


def summary(figures: dict[str, float]) -> str:
    rows = [
        ("total, seconds", "fed_meesh_s", "fed_duckdb_s", "fed_vs_duckdb"),
        ("CPU seconds a round", "fed_meesh_cpu_s", "fed_duckdb_cpu_s", "fed_cpu_vs_duckdb"),
    ]
    lines = [f"| {title} | {figures[ours]:.2f} | {figures[theirs]:.2f} | **{figures[ratio]:.2f}** |"
             for title, ours, theirs, ratio in rows if ratio in figures]
    if "fed_vs_duckdb_geomean" in figures:
        lines.append(f"| geometric mean of the queries' ratios | | | **{figures['fed_vs_duckdb_geomean']:.2f}** |")
        ours, theirs = figures["fed_meesh_peak_mb"], figures["fed_duckdb_peak_mb"]
        lines.append(f"| peak memory, MB | {ours:.0f} | {theirs:.0f} | **{ours / theirs:.2f}** |")
    return "\n".join(lines)


def answers(result) -> str:
    total = len(result.seconds["meesh"])
    equal = total - len(result.wrong)
    text = f"{equal} of {total} answers are equal cell by cell (benches/answers.py states the tolerance)."
    return text + "".join(f"\n- q{number:02}: {difference}" for number, difference in result.wrong.items())


def query_row(result, number: int) -> str:
    failed = [engine for engine in result.failed if number in result.failed[engine]]
    if failed:
        return f"| q{number:02} | {' and '.join(failed)} failed | | |"
    ours, theirs = result.median("meesh", number) * 1000, result.median("duckdb", number) * 1000
    return f"| q{number:02} | {ours:.0f} | {theirs:.0f} | {ours / theirs:.2f} |"


def chart(file: Path, result, scale: str) -> None:
    common = result.common()
    if not common:
        return
    figure, axes = plt.subplots(figsize=(11, 4), layout="constrained")
    for offset, (engine, colour) in enumerate([("meesh", "#1f6f8b"), ("duckdb", "#e0a458")]):
        positions = [index + (offset - 0.5) * 0.4 for index in range(len(common))]
        heights = [result.median(engine, number) * 1000 for number in common]
        axes.bar(positions, heights, width=0.4, label={"duckdb": "DuckDB"}.get(engine, engine), color=colour)
    axes.set_xticks(range(len(common)), [f"Q{number}" for number in common])
    axes.set_ylabel("milliseconds, median")
    axes.set_title(f"TPC-H, scale factor {scale}, over PostgreSQL and S3")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
