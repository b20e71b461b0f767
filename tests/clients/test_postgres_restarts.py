"""PostgreSQL is killed, or all of meesh's sessions are, at random moments of a query: never a wrong row.

MEESH_TEST_ROUNDS is how often (200 for a full run); round N is always the same one.
"""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from pyarrow.flight import FlightUnavailableError

from support.adbc import status_and_message
from support.bank import ROWS, TABLE, TOTAL, bank, catalog
from support.flight_sql import FlightSql
from support.meesh import serving

ROUNDS = int(os.environ.get("MEESH_TEST_ROUNDS", "20"))
# On a quiet machine 1 s; a busy one must not fail for being busy.
NEXT_QUERY_SECONDS = float(os.environ.get("MEESH_TEST_NEXT_SECONDS", "5"))
RIGHT_SHARE_MIN = 0.95
PUSHDOWN_OFF = "SET SESSION pushdown_enabled = false"
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'meesh_reader'"
ID_TOTAL = ROWS * (ROWS + 1) // 2
# What each is, and its only right answer. No row of an aggregate reaches the client before all are read.
AGGREGATES = {
    "aggregate": (f"SELECT sum(balance), count(*), sum(length(filler)) FROM {TABLE}", (TOTAL, ROWS, 320 * ROWS)),
    "join": (f"SELECT count(*), sum(a.balance), sum(b.id) FROM {TABLE} a JOIN {TABLE} b ON a.id = b.id", (ROWS, TOTAL, ID_TOTAL)),
}
STREAM = f"SELECT id, filler FROM {TABLE}"
KINDS = [*AGGREGATES, "stream"]
FAULTS = ["immediate", "terminate"]


@dataclass
class Outcome:
    """What came of a query whose source was struck."""

    round: str
    kind: str
    rows: list[tuple] | None
    """Those that arrived; of a stream its ids."""
    error: Exception | None
    next_rows: list[tuple]
    next_error: Exception | None
    next_seconds: float


class Client:
    """A session that computes everything in meesh."""

    def __init__(self, uri: str):
        self.flight = FlightSql(uri, keep_session=True)
        self.flight.query(PUSHDOWN_OFF)

    def ask(self, kind: str) -> tuple[list[tuple], Exception | None]:
        """The rows that arrived, and what ended them."""
        rows: list[tuple] = []
        try:
            for chunk in self.flight.reader(AGGREGATES[kind][0] if kind in AGGREGATES else STREAM):
                columns = chunk.data.columns[:1] if kind == "stream" else chunk.data.columns
                rows += zip(*(column.to_pylist() for column in columns))
        except Exception as error:
            return rows, error
        return rows, None


@pytest.fixture(scope="module")
def outcomes():
    """All rounds, played once."""
    with bank() as server, serving(catalog(server)) as meesh:
        client = Client(meesh.uri)
        durations = {kind: duration(client, kind) for kind in KINDS}
        played = [play(server, client, durations, number) for number in range(ROUNDS)]
    errors = [outcome for outcome in played if outcome.error]
    print(f"{len(played)} rounds, {len(errors)} of them ended in an error")
    return played


def duration(client: Client, kind: str) -> float:
    """Of the query when nothing happens; the second time, when its table is known."""
    client.ask(kind)
    started = time.monotonic()
    _, error = client.ask(kind)
    assert error is None, error
    return time.monotonic() - started


def play(server, client: Client, durations: dict[str, float], number: int) -> Outcome:
    chance = random.Random(number)
    kind, fault = chance.choice(KINDS), chance.choice(FAULTS)
    delay = chance.uniform(0, durations[kind])
    with ThreadPoolExecutor(max_workers=1) as thread:
        asked = thread.submit(client.ask, kind)
        # Here, not there: a server dies with the thread that started it.
        strike(server, fault, delay)
        rows, error = asked.result()
    started = time.monotonic()
    next_rows, next_error = client.ask("aggregate")
    seconds = time.monotonic() - started
    name = f"round {number}: {fault} {delay * 1000:.0f} ms into a query of kind {kind}"
    return Outcome(name, kind, rows, error, next_rows, next_error, seconds)


def strike(server, fault: str, delay: float) -> None:
    time.sleep(delay)
    if fault == "terminate":
        server.psql(TERMINATE)
    else:
        server.stop("immediate")
        server.start()


def right(outcome: Outcome) -> bool:
    if outcome.kind == "stream":
        return sorted(outcome.rows) == [(number,) for number in range(1, ROWS + 1)]
    return [tuple(map(int, row)) for row in outcome.rows] == [AGGREGATES[outcome.kind][1]]


def test_no_answer_is_wrong(outcomes):
    wrong = [outcome.round for outcome in outcomes if outcome.error is None and not right(outcome)]
    assert not wrong, wrong


def test_no_row_comes_twice_before_an_error(outcomes):
    for outcome in outcomes:
        if outcome.error:
            assert outcome.kind == "stream" or not outcome.rows, outcome.round
            assert len(set(outcome.rows)) == len(outcome.rows), outcome.round
            assert all(1 <= number <= ROWS for number, in outcome.rows), outcome.round


def test_every_error_is_clean(outcomes):
    for outcome in outcomes:
        if outcome.error:
            _, message = status_and_message(outcome.error)
            assert isinstance(outcome.error, FlightUnavailableError), f"{outcome.round}: {message}"
            assert "SOURCE_UNAVAILABLE" in message and 'catalog "bank"' in message, f"{outcome.round}: {message}"


def test_what_no_client_has_seen_is_tried_again(outcomes):
    asked = [outcome for outcome in outcomes if outcome.kind in AGGREGATES]
    failed = [f"{outcome.round}: {outcome.error}" for outcome in asked if outcome.error]
    right_share = 1 - len(failed) / len(asked)
    assert right_share >= RIGHT_SHARE_MIN, f"{len(failed)} of {len(asked)} failed, as {failed[:2]}"


def test_the_next_query_works(outcomes):
    for outcome in outcomes:
        assert outcome.next_error is None, f"{outcome.round}: {outcome.next_error}"
        assert [tuple(map(int, row)) for row in outcome.next_rows] == [AGGREGATES["aggregate"][1]], outcome.round
        assert outcome.next_seconds < NEXT_QUERY_SECONDS, f"{outcome.round}: {outcome.next_seconds:.1f} s"
