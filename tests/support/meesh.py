"""The meesh binary, started and stopped by process id."""

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil

from support.postgres import free_port


def binary() -> Path:
    """MEESH_BIN, or where `cargo build --release` puts it."""
    target = os.environ.get("CARGO_TARGET_DIR", str(Path.home() / ".cache" / "meesh" / "target"))
    return Path(os.environ.get("MEESH_BIN", f"{target}/release/meesh"))


def environment(more: dict | None = None) -> dict[str, str]:
    """The environment of a meesh under test: without MEESH_ variables, which would configure it."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("MEESH_")}, **(more or {})}


def run(*arguments, timeout: float = 60, env: dict | None = None, **options) -> subprocess.CompletedProcess:
    """One run of meesh to its end, output captured."""
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, env=environment(env), **options)


class Server:
    """`meesh serve` on free loopback ports, with an etc folder of its own."""

    def __init__(self, catalogs: dict[str, dict[str, str]], yaml: str = "", files: dict[str, str] | None = None):
        self.folder = tempfile.TemporaryDirectory(prefix="meesh-etc-")
        self.etc = Path(self.folder.name)
        self.flight_port, self.admin_port = free_port(), free_port()
        (self.etc / "catalog").mkdir()
        for name, keys in catalogs.items():
            self.write_catalog(name, keys)
        (self.etc / "meesh.yaml").write_text(
            f"flight.listen: 127.0.0.1:{self.flight_port}\nadmin.listen: 127.0.0.1:{self.admin_port}\n{yaml}"
        )
        for name, text in (files or {}).items():
            (self.etc / name).write_text(text)
        self.process: subprocess.Popen | None = None

    @property
    def uri(self) -> str:
        return f"grpc://127.0.0.1:{self.flight_port}"

    @property
    def log(self) -> str:
        return (self.etc / "log").read_text(errors="replace")

    def write_catalog(self, name: str, keys: dict[str, str]) -> None:
        text = "".join(f"{key}={value}\n" for key, value in keys.items())
        (self.etc / "catalog" / f"{name}.properties").write_text(text)

    def start(self, env: dict | None = None, wait_s: float = 30) -> "Server":
        with open(self.etc / "log", "ab") as log:
            self.process = subprocess.Popen([binary(), "serve", "--etc", self.etc], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=environment(env))
        deadline = time.monotonic() + wait_s
        while self.admin("/readyz") != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"meesh did not start (exit code {self.process.poll()}): {self.log[-4000:]}")
            time.sleep(0.005)
        return self

    def admin(self, path: str) -> int:
        """The HTTP status of a page of the admin port; 0 while nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=5) as answer:
            return answer.read().decode()

    def rss_mb(self) -> float:
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def cpu_s(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def stop(self) -> int:
        """SIGTERM, as Kubernetes stops it; the exit code."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        code = self.process.returncode if self.process else 0
        self.folder.cleanup()
        return code


@contextmanager
def serving(catalogs, **options):
    """A running [Server], stopped at the end."""
    server = Server(catalogs, **options)
    try:
        yield server.start()
    finally:
        server.stop()


@contextmanager
def demo(*arguments):
    """`meesh demo` on free ports; yields the process and what its ready file says."""
    with tempfile.TemporaryDirectory(prefix="meesh-demo-test-") as folder:
        ready = Path(folder) / "ready.json"
        log = open(Path(folder) / "log", "w+")
        process = subprocess.Popen(
            [binary(), "demo", "--flight-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
             "--ready-file", ready, *arguments],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"meesh demo did not get ready: {log.read()}")
                time.sleep(0.02)
            yield process, json.loads(ready.read_text())
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=30)
            log.close()


def postgres_catalog(server, database: str, **more: str) -> dict[str, str]:
    """The catalog file of a [Postgres], as a user of Trino writes it."""
    return {
        "connector.name": "postgresql",
        "connection-url": f"jdbc:postgresql://127.0.0.1:{server.port}/{database}?sslmode=disable",
        "connection-user": "meesh_reader",
        "connection-password": "demo",
        **more,
    }


def s3_catalog(endpoint: str, root: str = "s3://lake", access_key: str = "demo", secret_key: str = "demo-secret",
               **more: str) -> dict[str, str]:
    """The catalog file of a lake, as a user of Trino writes it, with meesh's `lake.root`."""
    return {
        "connector.name": "hive",
        "fs.native-s3.enabled": "true",
        "s3.endpoint": endpoint,
        "s3.region": "us-east-1",
        "s3.path-style-access": "true",
        "s3.aws-access-key": access_key,
        "s3.aws-secret-key": secret_key,
        "lake.root": root,
        **more,
    }
