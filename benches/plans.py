"""What the texts of meesh's EXPLAIN and EXPLAIN ANALYZE say."""

import re

SCAN = "SourceScanExec"
# What a plan may do around its one remote statement when that is all there is to compute: put rows in order.
ORDERING = {"SortExec", "SortPreservingMergeExec", "CoalescePartitionsExec", "RepartitionExec", "CooperativeExec"}
ONLY_NAMES = re.compile(r"expr=\[\w+@\d+ as \w+(, \w+@\d+ as \w+)*\]")
UNITS = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


def received(analyzed: str, catalog: str) -> tuple[int, int]:
    """Rows and (to a few digits) bytes that the query got from a catalog."""
    found = re.search(rf"^Received from {catalog}: (\d+) rows, ([\d.]+) (\w+)$", analyzed, re.MULTILINE)
    return (int(found[1]), round(float(found[2]) * UNITS[found[3]])) if found else (0, 0)


def streams(analyzed: str) -> int | None:
    """How many streams read from PostgreSQL at once; None if the text does not say."""
    counts = [int(count) for count in re.findall(r"\b(\d+) streams?$", analyzed, re.MULTILINE)]
    return max(counts, default=None)


def dynamic_filters(analyzed: str) -> list[str]:
    """What became of the keys that joins handed to scans of PostgreSQL."""
    return re.findall(r"^    dynamic filter: (.*)$", analyzed, re.MULTILINE)


def computed_here(plan: str) -> list[str]:
    """The operators that are more than one remote statement and the order of its rows; none: it was sent whole."""
    here, scans = set(), 0
    for line in plan.split("\n\n")[0].splitlines():
        operator = re.match(r"\s*(\w+)", line)[1]
        scans += operator == SCAN
        if operator not in {SCAN, *ORDERING} and not (operator == "ProjectionExec" and ONLY_NAMES.search(line)):
            here.add(operator.removesuffix("Exec"))
    return sorted(here) + ([f"{scans} statements"] if scans != 1 else [])


def not_pushed(plan: str) -> list[str]:
    """The reasons for what was not sent, each once; that rows are put in order here is none."""
    reasons = re.findall(r"^    not pushed: (.*)$", plan, re.MULTILINE)
    return [reason for reason in dict.fromkeys(reasons) if not reason.startswith("sort: ")]
