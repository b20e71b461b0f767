"""A throw-away PostgreSQL server on a free loopback port, stopped by its process id."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PASSWORD = "demo"


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def bin_dir() -> Path:
    """The folder of `initdb` and `postgres`: pg_config's, Debian's newest, or that on PATH."""
    candidates = []
    if shutil.which("pg_config"):
        candidates.append(Path(subprocess.check_output(["pg_config", "--bindir"], text=True).strip()))
    debian = Path("/usr/lib/postgresql")
    if debian.is_dir():
        versions = sorted((v for v in debian.iterdir() if v.name.isdigit()), key=lambda v: int(v.name), reverse=True)
        candidates += [version / "bin" for version in versions]
    candidates += [Path(found).parent for found in [shutil.which("initdb")] if found]
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError("PostgreSQL's server programs are not installed (try: apt-get install postgresql)")


def drop_rights(arguments: list, user: str | None) -> list[str]:
    """The command as `user`, if one is named; it must not outlive the tests, even if they are killed."""
    rights = ["--reuid", user, "--regid", user, "--init-groups"] if user else []
    return ["setpriv", "--pdeathsig", "INT", *rights, *map(str, arguments)]


class Postgres:
    """One server with its data in a temporary folder; root runs it as `postgres`, for it refuses to run as root.

    `programs` is the folder of another version's `initdb`, `postgres` and `pg_ctl`.
    """

    def __init__(self, name: str, options: dict[str, str] | None = None, programs: Path | None = None):
        self.name = name
        self.programs = programs or bin_dir()
        self.port = free_port()
        self.options = options or {}
        self.process: subprocess.Popen | None = None
        self.folder = Path(tempfile.mkdtemp(prefix=f"meesh-{name}-"))
        self.data = self.folder / "data"
        self.folder.chmod(0o755)
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD)
        self._server_tool("initdb", "-D", self.data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password_file,
                          "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync")

    def _server_tool(self, tool: str, *arguments) -> None:
        command = drop_rights([self.programs / tool, *arguments], self.user)
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"{tool} failed: {done.stdout}")

    def start(self) -> "Postgres":
        options = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
            "full_page_writes": "off", "synchronous_commit": "off", "timezone": "UTC", "log_timezone": "UTC",
            **self.options,
        }
        command = [self.programs / "postgres", "-D", self.data]
        for key, value in options.items():
            command += ["-c", f"{key}={value}"]
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(drop_rights(command, self.user), cwd=self.folder, stdout=log, stderr=log,
                                        process_group=0)
        log.close()
        deadline = time.monotonic() + 30
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL {self.name} did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    def answers(self) -> bool:
        return subprocess.run([bin_dir() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0

    def stop(self, mode: str = "fast") -> None:
        """Stops the server; `immediate` is what a crash looks like to clients."""
        if self.process and self.process.poll() is None:
            self._server_tool("pg_ctl", "stop", "-D", self.data, "-m", mode, "-w", "-t", "30")
            self.process.wait(timeout=30)
        self.process = None

    def destroy(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def psql(self, sql: str = "", file: Path | None = None, database: str = "postgres") -> str:
        """Runs SQL as the superuser; its rows as unaligned text."""
        command = [bin_dir() / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
                   str(self.port), "-U", "postgres", "-d", database, "-f", str(file) if file else "-"]
        done = subprocess.run(command, input=sql, capture_output=True, text=True,
                              env={**os.environ, "PGPASSWORD": PASSWORD})
        if done.returncode:
            raise RuntimeError(f"psql failed: {done.stderr}")
        return done.stdout.strip()

    def url(self, database: str, user: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgres://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def load(self, database: str, file: Path) -> "Postgres":
        """Makes `database`, fills it from `file`, and lets the role `meesh_reader` read it."""
        self.psql(f"CREATE DATABASE {database}")
        self.psql(file=file, database=database)
        self.psql(
            f"CREATE ROLE meesh_reader LOGIN PASSWORD '{PASSWORD}';"
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO meesh_reader;"
            "ALTER ROLE meesh_reader SET default_transaction_read_only = on",
            database=database,
        )
        return self
