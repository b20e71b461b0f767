#!/usr/bin/env python3
"""`make soak`: 64 mixed clients for some minutes; fails on a wrong row, an error, or memory that grows.

A third of the clients run the shown queries, a third short ones, the rest start long scans and go away in the
middle. Memory is compared between the end of the first fifth of the run (caches are warm) and its end.
"""

import argparse
import random
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.adbc import connect  # noqa: E402
from support.examples import EXAMPLES, QUERIES, csv_text, expected_text  # noqa: E402
from support.flight_sql import FlightSql  # noqa: E402
from support.meesh import postgres_catalog, s3_catalog, serving  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.s3 import FakeS3  # noqa: E402

GROWTH_MAX = 0.05
GROWTH_FREE_MB = 16
LONG = """SELECT a.visit_id, b.page FROM lake.raw.website_traffic a, lake.raw.website_traffic b,
lake.raw.website_traffic c"""


class Soak:
    def __init__(self, uri: str):
        self.uri = uri
        self.done = threading.Event()
        self.lock = threading.Lock()
        self.counts: dict[str, int] = {}
        self.errors: list[str] = []

    def client(self, number: int) -> None:
        work = [self.shown, self.short, self.leave][number % 3]
        chance = random.Random(number)
        while not self.done.is_set():
            try:
                work(chance)
                with self.lock:
                    self.counts[work.__name__] = self.counts.get(work.__name__, 0) + 1
            except Exception as error:
                with self.lock:
                    self.errors.append(f"{work.__name__}: {error}")
                self.done.wait(0.5)

    def shown(self, chance: random.Random) -> None:
        """One of the shown queries, over a connection of its own."""
        name = chance.choice(QUERIES)
        with connect(self.uri) as connection, connection.cursor() as cursor:
            cursor.execute((EXAMPLES / "queries" / f"{name}.sql").read_text())
            text = csv_text([column[0] for column in cursor.description], cursor.fetchall())
        if text != expected_text(name):
            raise AssertionError(f"{name} gave other rows than expected")

    def short(self, chance: random.Random) -> None:
        """Twenty small statements on one connection, some with a parameter, one of them wrong."""
        with connect(self.uri) as connection, connection.cursor() as cursor:
            for _ in range(19):
                value = chance.randint(1, 15)
                cursor.execute("SELECT customer_id FROM sales.public.customers WHERE customer_id = ?", (value,))
                if cursor.fetchall() != [(value,)]:
                    raise AssertionError(f"customer {value} was not found")
            try:
                cursor.execute("SELECT nothing FROM sales.public.customers")
            except Exception:
                return
            raise AssertionError("a wrong statement was taken")

    def leave(self, chance: random.Random) -> None:
        """A client that starts a long query and goes away."""
        client = FlightSql(self.uri)
        reader = client.reader(LONG)
        for _ in range(chance.randint(1, 5)):
            reader.read_chunk()
        reader.cancel()
        client.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="64 mixed clients")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=64)
    arguments = parser.parse_args()
    sales, marketing = Postgres("sales"), Postgres("marketing")
    try:
        for server, name in [(sales, "sales"), (marketing, "marketing")]:
            server.start().load(name, EXAMPLES / "data" / f"{name}.sql")
        with FakeS3(EXAMPLES / "data") as s3:
            catalogs = {"sales": postgres_catalog(sales, "sales"),
                        "marketing": postgres_catalog(marketing, "marketing"), "lake": s3_catalog(s3.endpoint)}
            with serving(catalogs, yaml="queries.queued_max: 1000\n") as meesh:
                return soak(meesh, arguments.minutes * 60, arguments.clients)
    finally:
        sales.destroy()
        marketing.destroy()


def soak(meesh, seconds: float, clients: int) -> int:
    run = Soak(meesh.uri)
    threads = [threading.Thread(target=run.client, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    warm_mb = peak_mb = 0.0
    while (elapsed := time.monotonic() - started) < seconds and meesh.process.poll() is None:
        time.sleep(min(1.0, seconds - elapsed))
        now_mb = meesh.rss_mb()
        peak_mb = max(peak_mb, now_mb)
        if elapsed < seconds / 5:
            warm_mb = peak_mb
    run.done.set()
    for thread in threads:
        thread.join(timeout=60)
    alive = meesh.process.poll() is None
    end_mb = peak_mb
    hanging = sum(thread.is_alive() for thread in threads)
    allowed_mb = max(warm_mb * (1 + GROWTH_MAX), warm_mb + GROWTH_FREE_MB)
    print(f"soak: {seconds:.0f} s, {clients} clients, "
          + ", ".join(f"{count} x {name}" for name, count in sorted(run.counts.items())))
    print(f"soak: memory {warm_mb:.0f} MB after a fifth of the time, at most {end_mb:.0f} MB, allowed {allowed_mb:.0f}")
    for error in run.errors[:10]:
        print(f"soak: {error}")
    failed = len(run.errors) + hanging + (not alive) + (end_mb > allowed_mb)
    print(f"soak: {sum(run.counts.values())} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
