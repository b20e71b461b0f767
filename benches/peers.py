"""The Python engines: each function opens one, in the process that calls it, and gives what runs a statement there."""

from pathlib import Path

import pyarrow as pa

from engines import THREADS, Worker
from support.duckdb_peer import attach_postgres, connect
from support.postgres import PASSWORD, Postgres

DUCKDB_SETUP = """
import sys
sys.path[:0] = {paths!r}
from support.duckdb_peer import attach_postgres, connect, load_extension
connection = connect(threads={threads})
load_extension(connection, "httpfs")
connection.execute("SET enable_progress_bar = false")
connection.execute('''CREATE SECRET (TYPE s3, KEY_ID 'demo', SECRET 'demo-secret', REGION 'us-east-1',
    ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false)''')
attach_postgres(connection, "pg", {port}, "tpch")
connection.execute("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.tpch; CREATE SCHEMA lake.keys")
for table in {tables!r}:
    file = table.replace(".", "/")
    connection.execute(f"CREATE VIEW lake.{{table}} AS SELECT * FROM read_parquet('s3://lake/{{file}}.parquet')")
"""


def duckdb_setup(postgres: Postgres, s3, tables: list[str]) -> str:
    """The Python text that opens DuckDB on PostgreSQL (pg) and on files of S3 (lake), as `connection`.

    `tables` are names such as `tpch.region`, for s3://lake/tpch/region.parquet.
    """
    return DUCKDB_SETUP.format(paths=[str(Path(__file__).parents[1] / "tests")], threads=THREADS, port=postgres.port,
                               host=s3.endpoint.removeprefix("http://"), tables=tables)


def duckdb(postgres: Postgres, s3, tables: list[str]) -> Worker:
    """DuckDB with its postgres and httpfs extensions; answers Arrow tables."""
    return Worker("duckdb", open_duckdb, duckdb_setup(postgres, s3, tables))


def open_duckdb(setup: str):
    namespace: dict = {}
    exec(setup, namespace)
    return lambda sql: namespace["connection"].execute(sql).to_arrow_table()


def url(port: int) -> str:
    return f"postgresql://meesh_reader:{PASSWORD}@127.0.0.1:{port}/tpch"


def drained(batches) -> int:
    """Reads Arrow batches, keeps none; the number of rows."""
    return sum(batch.num_rows for batch in batches)


def open_duckdb_stream(port: int, threads: int):
    """DuckDB's postgres extension alone, into Arrow batches; answers the number of rows."""
    connection = connect(threads)
    connection.execute("SET enable_progress_bar = false")
    attach_postgres(connection, "pg", port, "tpch")
    return lambda sql: drained(connection.execute(sql).to_arrow_reader(65536))


def open_adbc(port: int):
    """The ADBC driver for PostgreSQL, into Arrow batches; answers the number of rows."""
    import adbc_driver_postgresql.dbapi as adbc

    cursor = adbc.connect(url(port)).cursor()

    def run(sql: str) -> int:
        cursor.execute(sql)
        return drained(cursor.fetch_record_batch())

    return run


def open_connectorx(port: int, partitions: int):
    """connectorx into one Arrow table, lineitem split by l_orderkey; answers the number of rows."""
    import connectorx

    split = {"partition_on": "l_orderkey", "partition_num": partitions} if partitions > 1 else {}
    return lambda sql: connectorx.read_sql(url(port), sql, return_type="arrow", **split).num_rows


def open_psycopg(port: int, statement_timeout_s: int):
    """PostgreSQL's own answers, as Arrow tables of psycopg's Python values."""
    import psycopg

    connection = psycopg.connect(url(port), autocommit=True, options=f"-c statement_timeout={statement_timeout_s}s")

    def run(sql: str) -> pa.Table:
        cursor = connection.execute(sql)
        columns = list(zip(*cursor.fetchall())) or [[] for _ in cursor.description]
        return pa.table([pa.array(column) for column in columns], names=[column.name for column in cursor.description])

    return run
