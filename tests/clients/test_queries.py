"""The three shown queries through ADBC, against results that another engine computed."""

import pytest

from support.adbc import connect, rows
from support.examples import EXAMPLES, QUERIES, csv_text, expected_text


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


def test_partition_columns_have_real_types_and_prune(meesh, s3):
    s3.requests.clear()
    sql = "SELECT count(*) FROM lake.raw.website_traffic WHERE date = DATE '2026-03-04'"
    (count,), = rows(meesh.uri, sql)
    assert 0 < count < 266
    read = {key for method, key in s3.requests if method == "GET" and key.endswith(".parquet")}
    assert all("date=2026-03-04" in key for key in read), f"files of other days were read: {read}"
