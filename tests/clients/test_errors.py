"""Bad inputs: one clear message and the right status each; none kills or hangs the server. docs/errors.md lists them.

MEESH_WRITE=1 writes docs/errors.md instead of comparing.
"""

import os
import re
import shutil
import socket
from pathlib import Path

import pytest

from error_cases import CASES, Case
from support.adbc import connect, rows, status_and_message
from support.examples import EXAMPLES
from support.meesh import postgres_catalog, run, s3_catalog, serving
from support.postgres import free_port
from support.s3 import FakeS3
from support.users import with_users

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
HEAD = """# What meesh says when something is wrong

Generated from the tests (tests/clients/error_cases.py): each row was provoked, and the server went on.
Ports, folders and query ids differ from run to run.

| what | provoked by | status | message |
|---|---|---|---|
"""
# Words that would show a Rust type, a panic or a plan to a user.
NEVER = [
    "panicked", "DataFusionError", "Internal error", "called `", "Some(", "bug in DataFusion", "ArrowError", "Cast error",
    "Utf8", "Int32", "Int64(", "Float64", "expanding wildcard",
]
seen: dict[str, tuple[str, str]] = {}


class World:
    """What the cases are provoked on."""

    def __init__(self, server, guarded, folder: Path, busy_port: int):
        self.server, self.guarded, self.folder, self.busy_port = server, guarded, folder, busy_port

    def statement(self, text: str) -> tuple[str, str]:
        return self._fails(lambda: rows(self.server.uri, text))

    def slow_statement(self) -> tuple[str, str]:
        def call():
            with connect(self.server.uri) as connection, connection.cursor() as cursor:
                cursor.execute("SET SESSION query_max_run_time = '1s'")
                cursor.fetchall()
                table = "lake.raw.website_traffic"
                tables = ", ".join(f"{table} t{number}" for number in range(8))
                cursor.execute(f"SELECT count(*) FROM {tables} WHERE t0.page < t7.page")
                cursor.fetchall()
        return self._fails(call)

    def login(self, user, password) -> tuple[str, str]:
        return self._fails(lambda: rows(self.guarded.uri, "SELECT 1", user=user, password=password))

    def command(self, arguments, files: dict[str, str]) -> tuple[str, str]:
        etc = self.folder / "etc"
        shutil.rmtree(etc, ignore_errors=True)
        etc.mkdir()
        for name, text in files.items():
            (etc / name).parent.mkdir(exist_ok=True)
            (etc / name).write_text(text)
        done = run(*[str(argument).replace("{etc}", str(etc)) for argument in arguments], timeout=20)
        return f"exit {done.returncode}", (done.stderr + done.stdout).strip()

    @staticmethod
    def _fails(call) -> tuple[str, str]:
        with pytest.raises(Exception) as raised:
            call()
        return status_and_message(raised.value)


def broken_lake(root: Path) -> None:
    """Files that cannot be read, each in its own way."""
    raw = root / "broken" / "raw"
    raw.mkdir(parents=True)
    (raw / "torn.csv").write_text("id,name\n1,a\n2,b\n3,c,d,e\n4,d\n")
    (raw / "late.csv").write_text("id,amount\n" + "".join(f"{n},{n}.{'5' * 20}\n" for n in range(60_000)) + "x,none\n")
    (raw / "lines.ndjson").write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    parquet = next((EXAMPLES / "data/lake/raw/website_traffic").rglob("*.parquet")).read_bytes()
    (raw / "cut.parquet").write_bytes(parquet[: len(parquet) // 2])
    (raw / "twice").mkdir()
    (raw / "twice.csv").write_text("a\n1\n")
    (raw / "twice" / "part.csv").write_text("a\n1\n")
    (raw / "drift").mkdir()
    (raw / "drift" / "a.csv").write_text("id,day\n1,2026-01-01\n2,2026-01-02\n")
    (raw / "drift" / "b.csv").write_text("id,day\n1,true\n2,false\n")
    (raw / "delta" / "_delta_log").mkdir(parents=True)
    (raw / "delta" / "_delta_log" / "00000000000000000000.json").write_text("{}\n")
    (raw / "delta" / "part-0.parquet").write_bytes(parquet)


@pytest.fixture(scope="module")
def world(tmp_path_factory, sales_postgres, fake_s3):
    folder = tmp_path_factory.mktemp("errors")
    broken_lake(folder / "s3")
    sales_postgres.psql("CREATE DATABASE odd")
    sales_postgres.psql(
        "CREATE TABLE numerics (id int PRIMARY KEY, value numeric);"
        "INSERT INTO numerics VALUES (1, 1.5), (2, 0.12345678901234567);"
        "GRANT SELECT ON numerics TO meesh_reader", database="odd")
    good = postgres_catalog(sales_postgres, "sales")
    hosts = f"jdbc:postgresql://127.0.0.1:{free_port()}/sales?sslmode=disable"
    with FakeS3(folder / "s3") as broken, FakeS3(folder / "s3", lambda method, key: 403) as refusing:
        catalogs = {
            "sales": good,
            "odd": postgres_catalog(sales_postgres, "odd"),
            "wrong_password": {**good, "connection-password": "wrong"},
            "dead_host": {**good, "connection-url": hosts},
            "no_database": postgres_catalog(sales_postgres, "nothing"),
            "lake": s3_catalog(fake_s3.endpoint),
            "no_bucket": s3_catalog(fake_s3.endpoint, root="s3://nothing-here"),
            "refused": s3_catalog(refusing.endpoint),
            "broken": s3_catalog(broken.endpoint, root="s3://broken"),
        }
        with serving(catalogs) as server, socket.create_server(("127.0.0.1", 0)) as busy:
            with serving({"sales": good}, **with_users(ann="secret")) as guarded:
                yield World(server, guarded, folder, busy.getsockname()[1])
    sales_postgres.psql("DROP DATABASE odd WITH (FORCE)")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_input_gets_one_clear_answer(world: World, case: Case):
    status, message = case.provoke(world)
    seen[case.name] = (status, message)
    assert status == case.status, message
    missing = [fragment for fragment in case.fragments if fragment.lower() not in message.lower()]
    assert not missing, f"{missing} not in: {message}"
    shown = [word for word in NEVER if word in message]
    assert not shown, f"{shown} in: {message}"
    assert "demo-secret" not in message
    assert rows(world.server.uri, "SELECT 1") == [(1,)]


def test_the_guarded_server_lets_its_users_in(world: World):
    assert rows(world.guarded.uri, "SELECT count(*) FROM sales.public.orders", user="ann", password="secret") == [(20,)]


def test_the_page_lists_what_was_said(world: World):
    if len(seen) < len(CASES):
        pytest.skip("needs the cases above to have run")
    page = HEAD + "".join(row(case, world) for case in CASES)
    if os.environ.get("MEESH_WRITE"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "docs/errors.md is out of date: run the tests with MEESH_WRITE=1"


def row(case: Case, world: World) -> str:
    status, message = seen[case.name]
    words = case.words.replace("|", "\\|").replace("\n", " ")
    return f"| {case.name} | {words} | {status} | {stable(message, world)} |\n"


def stable(message: str, world: World) -> str:
    """The message without what differs from run to run, in one line, without the server's log lines (JSON)."""
    lines = [line.rstrip() for line in message.splitlines() if not line.startswith("{")]
    text = re.sub(r"\s+", " ", " ".join(lines)).replace(str(world.folder), "DIR")
    text = re.sub(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:PORT", text)
    text = re.sub(r"\d{8}_\d{6}_\d{5}_[a-z0-9]{5}", "QUERY_ID", text)
    text = re.sub(r"\d+(\.\d+)? (ms|s)\b", "TIME", text)
    return text[:400].replace("|", "\\|").replace("<", "&lt;")
