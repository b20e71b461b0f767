"""Fixtures of the client tests: two PostgreSQL servers and an S3 server with the demo's data, and meesh on them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.examples import EXAMPLES  # noqa: E402
from support.meesh import binary, postgres_catalog, s3_catalog, serving  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.s3 import FakeS3  # noqa: E402


def pytest_sessionstart(session):
    """A missing binary is one clear message, not a hundred failures."""
    if not binary().exists():
        pytest.exit(f"{binary()} does not exist: run `cargo build --release` first, or set MEESH_BIN", returncode=2)


def _loaded(name: str):
    server = Postgres(name)
    try:
        yield server.start().load(name, EXAMPLES / "data" / f"{name}.sql")
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def sales_postgres():
    yield from _loaded("sales")


@pytest.fixture(scope="session")
def marketing_postgres():
    yield from _loaded("marketing")


@pytest.fixture(scope="session")
def s3():
    with FakeS3(EXAMPLES / "data") as server:
        yield server


@pytest.fixture(scope="session")
def meesh(sales_postgres, marketing_postgres, s3):
    """meesh with the catalogs sales, marketing and lake, as the demo has them."""
    catalogs = {
        "sales": postgres_catalog(sales_postgres, "sales"),
        "marketing": postgres_catalog(marketing_postgres, "marketing"),
        "lake": s3_catalog(s3.endpoint),
    }
    with serving(catalogs) as server:
        yield server
