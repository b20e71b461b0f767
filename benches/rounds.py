"""Who is measured takes turns: every task of every round runs on each engine, right after one another.

So a neighbour on the machine slows all of them, and the ratios of a run mean something where its seconds do not.
What takes a few milliseconds takes several times as long after a second in which others ran, and how much longer is
chance: it is run a few times in a row, and their median counts, whoever runs it.
"""

import statistics
from collections.abc import Callable

from part import first_line

# What is shorter is run again, up to so many times.
SHORT_S = 0.05
SHORT_RUNS = 9

# tasks[task][engine] runs it once and gives seconds.
Tasks = dict[str, dict[str, Callable[[], float]]]


class Times:
    """Seconds by task and engine, one a round, and what went wrong: whoever fails at a task is not asked again."""

    def __init__(self, tasks: Tasks):
        self.seconds = {task: {engine: [] for engine in runs} for task, runs in tasks.items()}
        self.failed: dict[str, dict[str, str]] = {task: {} for task in tasks}
        # How often each was run; more often than there are rounds where it is short.
        self.runs = {task: dict.fromkeys(runs, 0) for task, runs in tasks.items()}

    def median_s(self, task: str, engine: str) -> float | None:
        """None if the engine failed at the task or was not asked."""
        times = self.seconds[task].get(engine)
        return statistics.median(times) if times and engine not in self.failed[task] else None

    def row(self, task: str, engines) -> dict:
        """Medians as `ENGINE_ms`, and who failed."""
        medians = {engine: self.median_s(task, engine) for engine in engines}
        return {**{f"{engine}_ms": None if median is None else median * 1000 for engine, median in medians.items()},
                "failed": sorted(self.failed[task])}


def interleaved(tasks: Tasks, rounds: int) -> Times:
    """Runs all rounds, the engines taking turns in who goes first."""
    times = Times(tasks)
    for turn in range(rounds):
        for task, runs in tasks.items():
            for engine in runs if turn % 2 == 0 else reversed(runs):
                if engine not in times.failed[task]:
                    _once(times, task, engine, runs[engine])
        print(f"round {turn + 1}: " + "  ".join(f"{engine} {total:.2f} s" for engine, total in _totals(times, turn)),
              flush=True)
    return times


def _once(times: Times, task: str, engine: str, run: Callable[[], float]) -> None:
    try:
        seconds = turn_of(run)
        times.seconds[task][engine].append(statistics.median(seconds))
        times.runs[task][engine] += len(seconds)
    except Exception as error:
        times.failed[task][engine] = first_line(error)
        print(f"{engine} failed {task}: {times.failed[task][engine]}", flush=True)


def turn_of(run: Callable[[], float]) -> list[float]:
    """Seconds of one run, or of several short ones."""
    seconds = [run()]
    while max(seconds) < SHORT_S and len(seconds) < SHORT_RUNS:
        seconds.append(run())
    return seconds


def _totals(times: Times, turn: int) -> list[tuple[str, float]]:
    """Seconds of one round by engine."""
    totals: dict[str, float] = {}
    for by_engine in times.seconds.values():
        for engine, seconds in by_engine.items():
            if len(seconds) > turn:
                totals[engine] = totals.get(engine, 0.0) + seconds[turn]
    return list(totals.items())
