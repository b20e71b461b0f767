"""DuckDB as the other engine: an oracle in the tests, the peer in the benchmark."""

from pathlib import Path

import duckdb

from support.postgres import PASSWORD


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Loads an extension out of the PyPI wheel that carries DuckDB's own signed build of it; nothing is downloaded."""
    package = __import__(f"duckdb_extension_{name}")
    file = Path(package.__file__).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    connection.execute(f"LOAD '{file}'")


def connect(threads: int) -> duckdb.DuckDBPyConnection:
    """A connection that can attach PostgreSQL, in UTC and with NULLS LAST as meesh has them."""
    connection = duckdb.connect(config={"threads": threads, "autoinstall_known_extensions": "false"})
    load_extension(connection, "postgres_scanner")
    connection.execute("SET default_null_order = 'nulls_last'")
    return connection


def attach_postgres(connection, catalog: str, port: int, database: str, user: str = "meesh_reader") -> None:
    connection.execute(
        f"ATTACH 'host=127.0.0.1 port={port} dbname={database} user={user} password={PASSWORD}'"
        f" AS {catalog} (TYPE postgres, READ_ONLY)"
    )
