"""PgBouncer in front of a [Postgres]: each transaction gets whichever of a few server sessions is free."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from support.postgres import PASSWORD, Postgres, drop_rights, free_port

CONFIGURATION = """\
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 200
logfile = {folder}/log
"""


class Unavailable(Exception):
    """Why there is no PgBouncer here."""


class PgBouncer:
    """Where it listens; a [support.meesh.postgres_catalog] takes it for the server."""

    def __init__(self, port: int):
        self.port = port


@contextmanager
def pgbouncer(server: Postgres, sessions: int, users: list[str]):
    """PgBouncer in transaction mode, with this many sessions for a user and a database."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Unavailable("PgBouncer is not installed (try: apt-get install pgbouncer)")
    with tempfile.TemporaryDirectory(prefix="meesh-pgbouncer-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(CONFIGURATION.format(server_port=server.port, port=port, folder=folder, sessions=sessions))
        (folder / "users").write_text("".join(f'"{user}" "{PASSWORD}"\n' for user in users))
        (folder / "log").touch()
        if server.user:
            # It refuses to run as root, too.
            shutil.chown(folder / "log", server.user)
        process = subprocess.Popen(drop_rights([program, "-q", configuration], server.user), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until_it_listens(port, process, folder / "log")
            yield PgBouncer(port)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def until_it_listens(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.02)
