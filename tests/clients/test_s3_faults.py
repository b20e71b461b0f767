"""An S3 server that refuses, truncates, overloads, stalls or ignores ranges: the right rows, or one clear error."""

import itertools
import shutil

import pytest

from support.adbc import rows, status_and_message
from support.examples import LAKE
from support.meesh import s3_catalog, serving
from support.s3 import FakeS3

TABLES = {"raw/website_traffic": 266, "raw/regional_targets.csv": 8, "raw/support_tickets.ndjson": 10}


def scan(key: str) -> str:
    """A statement that reads rows, not only footers."""
    column = {"raw/website_traffic": "page", "raw/regional_targets.csv": "region",
              "raw/support_tickets.ndjson": "subject"}[key]
    table = key.rsplit("/")[-1].split(".")[0]
    return f"SELECT count({column}), max({column}) IS NOT NULL FROM lake.raw.{table}"


@pytest.fixture
def lake(tmp_path):
    shutil.copytree(LAKE, tmp_path / "lake")
    with FakeS3(tmp_path) as s3, serving({"lake": s3_catalog(s3.endpoint)}) as server:
        yield s3, server


def is_data(method: str, key: str) -> bool:
    """Whether a request is for an object, and not a listing."""
    return "/" in key and not key.endswith("/")


@pytest.mark.parametrize("key", TABLES)
def test_one_overloaded_answer_in_three_is_tried_again(lake, key):
    s3, server = lake
    turn = itertools.count()
    s3.fault = lambda method, name: 503 if next(turn) % 3 == 0 else None
    assert rows(server.uri, scan(key)) == [(TABLES[key], True)]


@pytest.mark.parametrize("key", TABLES)
def test_one_connection_lost_in_four_is_tried_again(lake, key):
    s3, server = lake
    turn = itertools.count()
    s3.fault = lambda method, name: "reset" if next(turn) % 4 == 0 else None
    assert rows(server.uri, scan(key)) == [(TABLES[key], True)]


@pytest.mark.parametrize("fault", ["truncate", "ignore_range"])
@pytest.mark.parametrize("key", TABLES)
def test_wrong_bytes_never_become_rows(lake, key, fault):
    s3, server = lake
    s3.fault = lambda method, name: fault if method == "GET" and is_data(method, name) else None
    try:
        result = rows(server.uri, scan(key))
    except Exception as error:
        status, message = status_and_message(error)
        assert status in ("FailedPrecondition", "Unavailable"), error
        assert "lake" in message
    else:
        assert result == [(TABLES[key], True)]
    s3.fault = lambda method, name: None
    assert rows(server.uri, scan(key)) == [(TABLES[key], True)]


def test_one_truncated_answer_is_asked_for_again(lake):
    s3, server = lake
    left = iter([True])
    s3.fault = lambda method, name: (
        "truncate" if method == "GET" and name.endswith(".ndjson") and next(left, False) else None)
    assert rows(server.uri, scan("raw/support_tickets.ndjson")) == [(10, True)]


def test_refused_keys_are_said_to_be_refused(lake):
    s3, server = lake
    s3.fault = lambda method, name: 403
    with pytest.raises(Exception) as raised:
        rows(server.uri, scan("raw/regional_targets.csv"))
    status, message = status_and_message(raised.value)
    assert status == "PermissionDenied" and '"lake"' in message
    assert "demo-secret" not in str(raised.value)


def test_an_object_that_goes_away_is_named(lake):
    s3, server = lake
    assert rows(server.uri, scan("raw/regional_targets.csv")) == [(8, True)]
    s3.fault = lambda method, name: 404 if name.endswith(".csv") else None
    with pytest.raises(Exception, match="regional_targets.csv"):
        rows(server.uri, scan("raw/regional_targets.csv"))


def test_a_server_that_is_gone_is_named(lake):
    s3, server = lake
    s3.__exit__()
    with pytest.raises(Exception) as raised:
        rows(server.uri, scan("raw/regional_targets.csv"))
    status, message = status_and_message(raised.value)
    assert status == "Unavailable" and '"lake"' in message and f":{s3.port}" in message
    assert rows(server.uri, "SELECT 1") == [(1,)]
