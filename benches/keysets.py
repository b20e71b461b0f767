"""Sets of order keys to join with: each a Parquet file (lake.keys.NAME) and a table of PostgreSQL (pg.keys.NAME).

TPC-H uses 8 of every 32 numbers as order keys: order number i, from 1, has the key 32 * (i / 8) + i % 8.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

COUNTS = [1, 100, 10_000, 94_000, 1_500_000]
SHAPES = ["clustered", "spread"]
EMPTY = "empty"


def orders(scale: str) -> int:
    """Rows of the table orders."""
    return round(1_500_000 * float(scale))


def counts(scale: str) -> list[int]:
    """The sizes of the sets; the last holds every key."""
    return [count for count in COUNTS if count < orders(scale)] + [orders(scale)]


def name(shape: str, count: int) -> str:
    return f"{shape}_{count}"


def order_numbers(shape: str, count: int, scale: str) -> range:
    """`count` order numbers: neighbours from the middle of the table, or evenly spread over it."""
    step = orders(scale) // count if shape == "spread" else 1
    first = (orders(scale) - (count - 1) * step + 1) // 2
    return range(first, first + count * step, step)


def key(order_number: int) -> int:
    return order_number // 8 * 32 + order_number % 8


def sets(scale: str) -> dict[str, range]:
    """Order numbers by the set's name."""
    named = {name(shape, count): order_numbers(shape, count, scale) for shape in SHAPES for count in counts(scale)}
    return {EMPTY: range(0), **named}


def write_files(folder: Path, scale: str) -> None:
    """One file a set, in ascending order."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, numbers in sets(scale).items():
        if not (folder / f"{file}.parquet").exists():
            keys = pa.array([key(number) for number in numbers], pa.int64())
            pq.write_table(pa.table({"key": keys}), folder / f"{file}.parquet")


def load_tables(postgres, scale: str) -> None:
    """One table a set."""
    statements = ["CREATE SCHEMA keys; GRANT USAGE ON SCHEMA keys TO meesh_reader"]
    for table, numbers in sets(scale).items():
        series = f"generate_series({numbers.start}, {numbers.stop - 1}, {numbers.step}) AS i"
        statements.append(f"CREATE TABLE keys.{table} AS SELECT (i / 8 * 32 + i % 8)::bigint AS key FROM {series};"
                          f"ALTER TABLE keys.{table} ADD PRIMARY KEY (key)")
    statements.append("GRANT SELECT ON ALL TABLES IN SCHEMA keys TO meesh_reader")
    postgres.psql(";".join(statements), database="tpch")
