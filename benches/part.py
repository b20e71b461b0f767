"""What one part of the benchmark hands to the report."""

import dataclasses
import math
import statistics
from collections.abc import Iterable


@dataclasses.dataclass
class Part:
    """`figures` are numbers by name, each with its meaning in goals.py; `rows` are those of the part's table."""

    figures: dict[str, float]
    rows: list[dict] = dataclasses.field(default_factory=list)

    def is_right(self) -> bool:
        """Whether every answer was the peer's."""
        return not any(row.get("wrong") for row in self.rows)


def first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


def ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours / theirs


def geometric_mean(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(math.log(value) for value in values))
