"""Three answers to every question: meesh with pushdown, meesh without, and PostgreSQL itself.

    python tests/oracle/run.py [--seed N] [--queries N] [--dealt]

The tables stand in one database, in another one, and as Parquet files in S3. Most questions are about the first, where
all of it can be pushed; of every tenth, with --dealt of all, each table is dealt at random to one of the three.

Prints the seed, every question whose answers differ, and counts at the end; the exit code is 1 if any do.
"""

import argparse
import math
import random
import re
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import adbc_driver_manager as adbc
import psycopg
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracle import lake, schema  # noqa: E402
from oracle.star import Star  # noqa: E402
from support.adbc import connect  # noqa: E402
from support.meesh import s3_catalog, serving  # noqa: E402
from support.postgres import PASSWORD, Postgres  # noqa: E402
from support.s3 import FakeS3  # noqa: E402

# The names that meesh has for the database where all is pushed, for the other one, and for the files.
PLACES = ["pg.public", "other.public", "lake.oracle"]
DEALT_EVERY = 10
STARS, STARS_DEALT = 0.15, 0.6
# What is known to differ, and why; docs/differences.md says the same.
EXCUSED: list[tuple[str, re.Pattern]] = []
# How a value leaves PostgreSQL, so that it can be held against Arrow's.
THEIRS = {
    "date": "({} - date '1970-01-01')::bigint", "timestamp": "(extract(epoch from {}) * 1000000)::bigint",
    "instant": "(extract(epoch from {}) * 1000000)::bigint", "bytes": "encode({}, 'hex')", "bool": "{}::int",
    "decimal": "{}::text", "number": "({})::double precision",
}


def ours(table: pa.Table, kinds: list[str]) -> list[tuple]:
    columns = []
    for column, kind in zip(table.columns, kinds):
        column = column.combine_chunks()
        match kind:
            case "date":
                column = column.cast(pa.int32())
            case "timestamp" | "instant":
                column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
        values = column.to_pylist()
        match kind:
            case "bytes":
                values = [None if value is None else value.hex() for value in values]
            case "bool":
                values = [None if value is None else int(value) for value in values]
            case "number":
                values = [None if value is None else float(value) for value in values]
            case "decimal":
                values = [None if value is None else f"{value:.5f}" for value in values]
        columns.append(values)
    return list(zip(*columns)) if columns else [() for _ in range(table.num_rows)]


def sort_key(row: tuple) -> tuple:
    def cell(value):
        if value is None:
            return (2, "")
        if isinstance(value, float):
            return (1, "nan") if math.isnan(value) else (0, f"{value + 0.0:+.9e}" if abs(value) > 1e-300 else "0")
        return (0, str(value))
    return tuple(map(cell, row))


def same_cell(a, b) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        if a is None or b is None:
            return a is b
        return (math.isnan(a) and math.isnan(b)) or a == b or math.isclose(a, b, rel_tol=1e-9)
    return a == b


def same(a: list[tuple], b: list[tuple]) -> bool:
    if len(a) != len(b):
        return False
    pairs = zip(sorted(a, key=sort_key), sorted(b, key=sort_key))
    return all(len(x) == len(y) and all(map(same_cell, x, y)) for x, y in pairs)


class Oracle:
    """The same data behind three doors."""

    def __init__(self, server, postgres: Postgres):
        # Answers that show little: errors that all three gave, and no rows.
        self.errors = self.empty = 0
        self.pushing, self.local = connect(server.uri), connect(server.uri)
        with self.local.cursor() as cursor:
            cursor.execute("SET SESSION pushdown_enabled = false")
        self.postgres = psycopg.connect(host="127.0.0.1", port=postgres.port, user="postgres", password=PASSWORD,
                                        dbname="oracle", autocommit=True, options="-c timezone=UTC -c statement_timeout=20s")

    def meesh(self, connection, sql: str, kinds: list[str]):
        with connection.cursor() as cursor:
            try:
                cursor.execute(sql)
                return ours(cursor.fetch_arrow_table(), kinds)
            except adbc.Error as error:
                return str(error).split("[FlightSQL] ")[-1][:300]

    def theirs(self, sql: str, kinds: list[str]):
        names = [f"x{number}" for number in range(len(kinds))]
        items = ", ".join(THEIRS.get(kind, "{}").format(name) for name, kind in zip(names, kinds))
        try:
            return self.postgres.execute(f"SELECT {items} FROM ({sql}) AS answer({', '.join(names)})").fetchall()
        except psycopg.Error as error:
            return str(error).splitlines()[0]

    def ask(self, question, kinds: list[str]) -> str | None:
        """How the answers differ; None if they do not."""
        answers = {
            "pushed": self.meesh(self.pushing, question.trino, kinds),
            "local": self.meesh(self.local, question.trino, kinds),
            "PostgreSQL": self.theirs(question.postgres, kinds),
        }
        failed = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
        if failed:
            if len(failed) == 3:
                self.errors += 1
                return None
            return "; ".join(f"{name}: {answer}" for name, answer in failed.items())
        expected = answers["PostgreSQL"]
        self.empty += not expected
        for name in ("pushed", "local"):
            if not same(answers[name], expected):
                only = [row for row in answers[name] if row not in expected][:2]
                missing = [row for row in expected if row not in answers[name]][:2]
                return (f"{name} has {len(answers[name])} rows, PostgreSQL {len(expected)}; "
                        f"only {name} {only}, only PostgreSQL {missing}")
        return None


def catalog(postgres: Postgres, database: str) -> dict[str, str]:
    return {"connector.name": "postgresql", "connection-url": f"jdbc:postgresql://127.0.0.1:{postgres.port}/{database}",
            "connection-user": "postgres", "connection-password": PASSWORD}


@contextmanager
def world(tables: dict, chance: random.Random):
    """PostgreSQL with the tables, and meesh that has them from three places."""
    postgres = Postgres("oracle")
    try:
        postgres.start().psql("CREATE DATABASE oracle")
        postgres.psql(schema.script(tables, chance), database="oracle")
        postgres.psql("CREATE DATABASE other TEMPLATE oracle")
        with tempfile.TemporaryDirectory(prefix="meesh-oracle-lake-") as folder:
            lake.write(postgres, "oracle", tables, Path(folder) / "lake" / "oracle")
            with FakeS3(Path(folder)) as s3:
                catalogs = {"pg": catalog(postgres, "oracle"), "other": catalog(postgres, "other"),
                            "lake": s3_catalog(s3.endpoint)}
                with serving(catalogs) as server:
                    yield postgres, server
    finally:
        postgres.destroy()


def question_of(seed: int, number: int, tables: dict, dealt: bool):
    """The question of this number, and the kinds of its columns."""
    chance = random.Random(f"{seed}/{number}")
    dealt = dealt or number % DEALT_EVERY == 0
    places = {table: f"{chance.choice(PLACES) if dealt else PLACES[0]}.{table}" for table in tables}
    return Star(chance, tables, places, STARS_DEALT if dealt else STARS).question()


def run(seed: int, queries: int, dealt: bool = False, report=print) -> dict[str, int]:
    """Asks `queries` questions; how many answers were equal (of them errors, of them empty), and different."""
    tables = schema.tables()
    counts = {"equal": 0, "excused": 0, "different": 0}
    with world(tables, random.Random(seed)) as (postgres, server):
        oracle = Oracle(server, postgres)
        for number in range(queries):
            question, kinds = question_of(seed, number, tables, dealt)
            what = oracle.ask(question, kinds)
            why = next((reason for reason, pattern in EXCUSED if what and pattern.search(question.trino)), None)
            counts["excused" if why else "different" if what else "equal"] += 1
            if why:
                report(f"question {number} of seed {seed} is excused: {why}")
            elif what:
                report(f"question {number} of seed {seed}: {what}\n  meesh:      {question.trino}\n"
                       f"  PostgreSQL: {question.postgres}")
        counts |= {"errors": oracle.errors, "empty": oracle.empty}
        oracle.pushing.close()
        oracle.local.close()
        oracle.postgres.close()
    return counts


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--queries", type=int, default=5000)
    arguments.add_argument("--dealt", action="store_true", help="deal the tables of every question to three sources")
    given = arguments.parse_args()
    print(f"seed {given.seed}", flush=True)
    started = time.monotonic()
    counts = run(given.seed, given.queries, given.dealt)
    print(f"{given.queries} questions in {time.monotonic() - started:.0f} s: {counts['equal']} equal "
          f"({counts['errors']} the same error, {counts['empty']} no rows), {counts['excused']} excused, {counts['different']} different")
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
