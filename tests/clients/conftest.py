"""Fixtures of the client tests: PostgreSQL and S3 servers with the demo's data, and meesh on them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.examples import EXAMPLES, LAKE  # noqa: E402
from support.meesh import binary, postgres_catalog, s3_catalog, serving  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.real_s3 import Unavailable, minio, minio_program, s3s_fs  # noqa: E402
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
def fake_s3():
    """The server that counts requests and misbehaves on demand, but checks no signature."""
    with FakeS3(EXAMPLES / "data") as server:
        yield server


@pytest.fixture(scope="session", params=["s3s-fs", "MinIO"])
def s3(request, tmp_path_factory):
    """A real S3 server; what asks for it, or for `meesh`, runs on each."""
    if request.param == "s3s-fs":
        with s3s_fs() as server:
            yield server
        return
    try:
        minio_program()
    except Unavailable as reason:
        pytest.skip(f"NOT TESTED: {reason}")
    with minio(tmp_path_factory.mktemp("minio"), LAKE) as server:
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
