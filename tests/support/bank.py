"""A table that is large enough to be read in several ranges, whose sum never changes, and who changes its rows."""

import random
import threading
from contextlib import contextmanager

import psycopg

from support.meesh import postgres_catalog
from support.postgres import Postgres

ROWS = 100_000
BALANCE = 1_000
TOTAL = ROWS * BALANCE
PAGES_MIN = 8_000
TABLE = "bank.public.accounts"
# Wide rows, half-filled pages: many pages for few rows, and room for an updated row beside its old self.
SCRIPT = f"""
CREATE TABLE accounts (id integer PRIMARY KEY, balance bigint NOT NULL, filler text) WITH (fillfactor = 50);
ALTER TABLE accounts ALTER filler SET STORAGE PLAIN;
INSERT INTO accounts SELECT g, {BALANCE}, repeat('x', 320) FROM generate_series(1, {ROWS}) g;
ANALYZE accounts;
CREATE ROLE meesh_reader LOGIN PASSWORD 'demo';
GRANT SELECT ON accounts TO meesh_reader;
CHECKPOINT;
"""


@contextmanager
def bank(**options: str):
    """A server with the table `accounts` in a database `bank`."""
    server = Postgres("bank", options)
    try:
        server.start().psql("CREATE DATABASE bank")
        server.psql(SCRIPT, database="bank")
        assert int(server.psql("SELECT relpages FROM pg_class WHERE relname = 'accounts'", database="bank")) >= PAGES_MIN
        yield server
    finally:
        server.destroy()


def catalog(server, **more: str) -> dict[str, dict[str, str]]:
    return {"bank": postgres_catalog(server, "bank", **more)}


class Writer(threading.Thread):
    """Moves money between random accounts, and accounts between pages, until stopped."""

    def __init__(self, server: Postgres, seed: int):
        super().__init__(daemon=True)
        self.url, self.chance = server.url("bank"), random.Random(seed)
        self.stopping = threading.Event()
        self.transactions = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                while not self.stopping.is_set():
                    self.transact(connection)
                    self.transactions += 1
        except Exception as error:
            self.error = error

    def transact(self, connection: psycopg.Connection) -> None:
        giver, taker = self.chance.sample(range(1, ROWS + 1), 2)
        amount = self.chance.randint(1, 10 * BALANCE)
        with connection.transaction():
            connection.execute("UPDATE accounts SET balance = balance - %s WHERE id = %s", (amount, giver))
            # The row goes to another page, as an update that finds no room makes it.
            found = connection.execute("DELETE FROM accounts WHERE id = %s RETURNING balance, filler", (taker,)).fetchone()
            connection.execute("INSERT INTO accounts VALUES (%s, %s, %s)", (taker, found[0] + amount, found[1]))


@contextmanager
def writing(server: Postgres, seed: int):
    """A [Writer] at work; fails if it could not write."""
    writer = Writer(server, seed)
    writer.start()
    try:
        yield writer
    finally:
        writer.stopping.set()
        writer.join()
    assert writer.error is None, writer.error
    assert writer.transactions > 0
