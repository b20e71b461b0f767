"""The report's pictures, each drawn from the rows of a part."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from goals import FIGURES  # noqa: E402

COLOURS = {"meesh": "#1f6f8b", "duckdb": "#e0a458", "psql": "#7a8b99"}
NAMES = {"duckdb": "DuckDB"}


def fed(file: Path, rows: list[dict], scale: str) -> None:
    by_query(file, rows, ["meesh", "duckdb"], f"TPC-H over PostgreSQL and S3, scale factor {scale}")


def one(file: Path, rows: list[dict], scale: str) -> None:
    """The names of queries that are not sent whole are in brackets."""
    named = [row if row["whole"] else {**row, "query": f"({row['query']})"} for row in rows]
    title = f"TPC-H in one PostgreSQL, scale factor {scale} (in brackets: not sent whole)"
    by_query(file, named, ["meesh", "psql"], title, logarithmic=True)


def by_query(file: Path, rows: list[dict], engines: list[str], title: str, logarithmic: bool = False) -> None:
    """A bar an engine for each query that all of them answered."""
    rows = [row for row in rows if all(row[f"{engine}_ms"] for engine in engines)]
    figure, axes = plt.subplots(figsize=(11, 4), layout="constrained")
    for offset, engine in enumerate(engines):
        axes.bar([index + (offset - 0.5) * 0.4 for index in range(len(rows))], [row[f"{engine}_ms"] for row in rows],
                 width=0.4, label=NAMES.get(engine, engine), color=COLOURS[engine])
    axes.set_xticks(range(len(rows)), [row["query"].replace("q", "Q") for row in rows],
                    fontsize=9 if logarithmic else 10)
    if logarithmic:
        axes.set_yscale("log")
    axes.set_ylabel("milliseconds, median")
    finish(figure, [axes], title, file)


def scan(file: Path, rows: list[dict], scale: str) -> None:
    """Million rows a second, a line at the yardstick's, and marks at meesh's goals."""
    rows = [row for row in reversed(rows) if row["mrows_s"]]
    figure, axes = plt.subplots(figsize=(11, 4), layout="constrained")
    colours = [COLOURS.get(row["method"].split("_")[0], COLOURS["psql"]) for row in rows]
    bars = axes.barh([row["title"] for row in rows], [row["mrows_s"] for row in rows], color=colours, height=0.7)
    # Where the bars begin: at their ends are the lines.
    for row in rows:
        axes.text(0.01, row["title"], f"{row['mrows_s']:.2f}", color="white", weight="bold", va="center")
    copy = rows[-1]["mrows_s"]
    axes.axvline(copy, color="black", linewidth=0.8, linestyle=":")
    goals = {f"meesh_{connections}": copy * FIGURES[f"scan_{connections}_vs_copy"].at_least for connections in (1, 2)}
    marked = [(goals[row["method"]], row["title"]) for row in rows if row["method"] in goals]
    axes.scatter(*zip(*marked), marker="|", s=300, color="black", label="goal of meesh")
    axes.margins(x=0.08)
    axes.set_xlabel("million rows a second, median")
    finish(figure, [axes], f"lineitem out of PostgreSQL, 16 columns, scale factor {scale}", file)


def keys(file: Path, rows: list[dict], scale: str) -> None:
    """A panel a direction and shape: milliseconds by number of keys."""
    panels = list(dict.fromkeys((row["direction"], row["shape"]) for row in rows))
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 4), layout="constrained", sharey=True)
    titles = {"to_pg": "S3 keys, PostgreSQL table", "to_lake": "PostgreSQL keys, S3 table"}
    for axis, (direction, shape) in zip(axes, panels):
        shown = [row for row in rows if (row["direction"], row["shape"]) == (direction, shape)]
        for engine in ("meesh", "duckdb", "psql"):
            points = [(row["keys"], row[f"{engine}_ms"]) for row in shown if row[f"{engine}_ms"]]
            if points:
                axis.plot(*zip(*points), marker="o", markersize=4, label=NAMES.get(engine, engine),
                          color=COLOURS[engine])
        goals = [(row["keys"], row["goal_ms"]) for row in shown if row["goal_ms"]]
        axis.plot(*zip(*goals), linestyle=":", color="black", linewidth=1, label="goal of meesh")
        axis.set(xscale="log", yscale="log", xlabel="keys")
        axis.set_title(f"{titles[direction]},\n{shape}", fontsize=10)
    axes[0].set_ylabel("milliseconds, median")
    finish(figure, axes, f"A few keys joined with lineitem, scale factor {scale}", file)


def finish(figure, all_axes, title: str, file: Path) -> None:
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(title, fontsize=12)
    figure.savefig(file, dpi=110)
    plt.close(figure)
