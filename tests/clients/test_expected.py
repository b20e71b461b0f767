"""The demo's expected results, computed by another engine: DuckDB over the same databases and files.

MEESH_WRITE=1 writes examples/queries/*.expected.csv instead of comparing.
"""

import os

import duckdb
import pytest

from support.duckdb_peer import attach_postgres, connect
from support.examples import EXAMPLES, LAKE, QUERIES, csv_text

READERS = {
    "website_traffic": f"read_parquet('{LAKE}/raw/website_traffic/*/*.parquet', hive_partitioning = true)",
    "regional_targets": f"read_csv('{LAKE}/raw/regional_targets.csv')",
    "support_tickets": f"read_json('{LAKE}/raw/support_tickets.ndjson')",
}


@pytest.fixture(scope="module")
def other_engine(sales_postgres, marketing_postgres):
    connection = connect(threads=2)
    # Trino's meaning of `/` between integers.
    connection.execute("SET integer_division = true")
    attach_postgres(connection, "sales", sales_postgres.port, "sales")
    attach_postgres(connection, "marketing", marketing_postgres.port, "marketing")
    connection.execute("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.raw")
    for table, reader in READERS.items():
        connection.execute(f"CREATE VIEW lake.raw.{table} AS SELECT * FROM {reader}")
    yield connection
    connection.close()


@pytest.mark.parametrize("name", QUERIES)
def test_expected_results_are_what_duckdb_computes(other_engine: duckdb.DuckDBPyConnection, name: str):
    cursor = other_engine.execute((EXAMPLES / "queries" / f"{name}.sql").read_text())
    text = csv_text([column[0] for column in cursor.description], cursor.fetchall())
    file = EXAMPLES / "queries" / f"{name}.expected.csv"
    if os.environ.get("MEESH_WRITE"):
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text
