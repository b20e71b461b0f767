"""The same tables as Parquet files, with the types and values that meesh gives to PostgreSQL's.

The values are taken from PostgreSQL itself, so that the files do not repeat a mistake of meesh's.
"""

from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from oracle.schema import Column
from support.postgres import PASSWORD, Postgres

# By declaration: the Arrow type, the one that the values are built as, and how PostgreSQL hands them out. Python's own
# dates end with the year 9999, so days and microseconds are counted here.
TYPES = {
    "integer": (pa.int32(), None, "{}"),
    "smallint": (pa.int16(), None, "{}"),
    "bigint": (pa.int64(), None, "{}"),
    "numeric(12,2)": (pa.decimal128(12, 2), None, "{}"),
    "numeric(20,5)": (pa.decimal128(20, 5), None, "{}"),
    "double precision": (pa.float64(), None, "{}"),
    "real": (pa.float32(), None, "{}"),
    "date": (pa.date32(), pa.int32(), "{} - date '1970-01-01'"),
    "timestamp": (pa.timestamp("us"), pa.int64(), "(extract(epoch from {}) * 1000000)::bigint"),
    "timestamptz": (pa.timestamp("us", "UTC"), pa.int64(), "(extract(epoch from {}) * 1000000)::bigint"),
    "boolean": (pa.bool_(), None, "{}"),
    "bytea": (pa.binary(), None, "{}"),
}
# Of texts, enums and uuids; the cast cuts the blanks at the end of char(n), as meesh does.
TEXT = (pa.string(), None, "{}::text")
# Several groups of the big table, so that some can be left out by their statistics.
GROUP_ROWS = 500


def write(postgres: Postgres, database: str, tables: dict[str, list[Column]], folder: Path) -> None:
    """A file for each table, named after it."""
    folder.mkdir(parents=True)
    with psycopg.connect(postgres.url(database), options="-c timezone=UTC") as connection:
        for name, columns in tables.items():
            pq.write_table(arrow(connection, name, columns), folder / f"{name}.parquet", row_group_size=GROUP_ROWS)


def arrow(connection: psycopg.Connection, table: str, columns: list[Column]) -> pa.Table:
    types = [TYPES.get(column.declaration.split(" PRIMARY")[0], TEXT) for column in columns]
    items = ", ".join(take.format(f'"{column.name}"') for column, (_, _, take) in zip(columns, types))
    rows = connection.execute(f"SELECT {items} FROM public.{table} ORDER BY id").fetchall()
    arrays = [pa.array(values, built or type_).cast(type_) for values, (type_, built, _) in zip(zip(*rows), types)]
    return pa.table(dict(zip([column.name for column in columns], arrays)))
