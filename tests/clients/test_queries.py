"""The three shown queries and every sample table through ADBC, on real S3 servers, against what others computed."""

import pyarrow
import pyarrow.parquet as parquet
import pytest

from support.adbc import connect, rows, status_and_message
from support.examples import EXAMPLES, QUERIES, csv_text, expected_text
from support.meesh import s3_catalog, serving
from support.s3 import FakeS3


@pytest.mark.parametrize("name", QUERIES)
def test_a_shown_query_gives_the_expected_rows(meesh, name):
    with connect(meesh.uri) as connection, connection.cursor() as cursor:
        cursor.execute((EXAMPLES / "queries" / f"{name}.sql").read_text())
        text = csv_text([column[0] for column in cursor.description], cursor.fetchall())
    assert text == expected_text(name)


# Facts about the sample data that PostgreSQL and the files state themselves.
COUNTS = [
    ("sales.public.customers", 15), ("sales.public.products", 10), ("sales.public.orders", 20),
    ("sales.public.order_items", 41), ("sales.public.order_totals", 20),
    ("marketing.public.campaigns", 8), ("marketing.public.leads", 15), ("marketing.public.campaign_metrics", 54),
    ("lake.raw.website_traffic", 266), ("lake.raw.regional_targets", 8), ("lake.raw.support_tickets", 10),
    ("lake.raw.costs", 7),
]


@pytest.mark.parametrize(("table", "expected"), COUNTS, ids=[table for table, _ in COUNTS])
def test_a_table_has_all_its_rows(meesh, table, expected):
    assert rows(meesh.uri, f"SELECT count(*) FROM {table}") == [(expected,)]
    assert len(rows(meesh.uri, f"SELECT * FROM {table}")) == expected


def test_null_and_empty_text_of_a_csv_differ(meesh):
    found = rows(meesh.uri, "SELECT remark FROM lake.raw.regional_targets WHERE quarter = '2026-Q1' ORDER BY region")
    assert found == [("",), ('"stretch", says Kim',), (None,), ("new territory",)]


def test_a_wrong_secret_key_is_refused(s3):
    """Or the server would not be one that checks signatures, and the tests above would show less than they seem to."""
    with serving({"lake": s3_catalog(s3.endpoint, secret_key="another-secret")}) as server:
        with pytest.raises(Exception) as raised:
            rows(server.uri, "SELECT count(*) FROM lake.raw.costs")
    status, message = status_and_message(raised.value)
    assert status == "PermissionDenied" and '"lake"' in message and "another-secret" not in message


def test_partition_columns_have_real_types_and_prune(fake_s3):
    table = "lake.raw.website_traffic"
    # Small files are kept with their footers, and then not asked for again: here nothing is kept.
    with serving({"lake": s3_catalog(fake_s3.endpoint, **{"lake.footer-cache-size": "0B"})}) as server:
        # Finds the columns, for which it reads the footer of every file.
        rows(server.uri, f"DESCRIBE {table}")
        fake_s3.requests.clear()
        (count,), = rows(server.uri, f"SELECT count(page) FROM {table} WHERE date = DATE '2026-03-04'")
    assert 0 < count < 266
    read = {key for method, key in fake_s3.requests if method == "GET" and key.endswith(".parquet")}
    assert read == {"lake/raw/website_traffic/date=2026-03-04/part-0.parquet"}


def test_a_small_parquet_file_is_fetched_once_for_each_of_its_versions(tmp_path):
    def write(name, numbers):
        (tmp_path / "lake" / "raw").mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.table({"n": numbers}), tmp_path / "lake" / "raw" / f"{name}.parquet",
                            compression="none", use_dictionary=False)

    write("small", range(100))
    write("large", range(10_000))
    with FakeS3(tmp_path) as s3, serving({"lake": s3_catalog(s3.endpoint, **{"lake.list-ttl": "0s"})}) as server:
        def asked(name):
            s3.requests.clear()
            total = rows(server.uri, f"SELECT sum(n) FROM lake.raw.{name} WHERE n >= 10")
            return total, s3.requests.count(("GET", f"lake/raw/{name}.parquet"))

        assert [asked("small") for _ in range(3)] == [([(4905,)], 1), ([(4905,)], 0), ([(4905,)], 0)]
        assert [asked("large") for _ in range(2)] == [([(49_994_955,)], 2), ([(49_994_955,)], 1)]
        write("small", range(1, 101))
        assert [asked("small") for _ in range(2)] == [([(5005,)], 1), ([(5005,)], 0)]


def test_rows_that_a_join_does_not_want_are_not_grouped(meesh):
    table = "lake.raw.website_traffic"
    (email, visits), = rows(meesh.uri, f"SELECT customer_email, count(*) FROM {table} WHERE customer_email IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1")
    sql = (f"SELECT w.visits FROM (VALUES '{email}') k(email) "
           f"JOIN (SELECT customer_email, count(*) AS visits FROM {table} GROUP BY 1) w ON w.customer_email = k.email")
    assert rows(meesh.uri, sql) == [(visits,)]
    plan = "\n".join(line for line, in rows(meesh.uri, f"EXPLAIN ANALYZE {sql}"))
    assert "WantedRowsExec" in plan and f"unwanted_rows={266 - visits}]" in plan, plan
    # A join right above tests its rows itself.
    direct = f"SELECT count(*) FROM (VALUES '{email}') k(email) JOIN {table} w ON w.customer_email = k.email"
    assert rows(meesh.uri, direct) == [(visits,)]
    assert "WantedRowsExec" not in str(rows(meesh.uri, f"EXPLAIN ANALYZE {direct}"))
