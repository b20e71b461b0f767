"""Debian packages unpacked into a cache: nothing is installed, no service is started."""

import os
import re
import shutil
import subprocess
from pathlib import Path

CACHE = Path.home() / ".cache" / "meesh"


class Unavailable(Exception):
    """apt does not offer the package here, and why."""


def unpacked(package: str) -> Path:
    """The folder that holds `package` and those it needs and this machine lacks, as if it were `/`."""
    root = CACHE / "debian" / package
    if root.is_dir():
        return root
    if shutil.which("apt-get") is None:
        raise Unavailable(f"package '{package}' is not at hand: this machine has no apt-get")
    scratch = root.with_name(f"{package}.{os.getpid()}")
    (scratch / "root").mkdir(parents=True)
    try:
        run(["apt-get", "download", *missing_packages(package)], scratch)
        for archive in sorted(scratch.glob("*.deb")):
            run(["dpkg-deb", "--extract", archive, scratch / "root"], scratch)
        (scratch / "root").rename(root)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return root


def missing_packages(package: str) -> list[str]:
    plan = ["apt-get", "install", "--print-uris", "--yes", "--no-install-recommends", "--reinstall", package]
    try:
        listed = run(plan, Path("/"))
    except Unavailable:
        run([*(["sudo", "-n"] if os.getuid() else []), "apt-get", "update"], Path("/"))
        listed = run(plan, Path("/"))
    # 'http://.../runc_1.1.5_amd64.deb' runc_1.1.5_amd64.deb 2709960 MD5Sum:...
    return re.findall(r"^'\S+' ([^_\s]+)_\S+\.deb ", listed, re.MULTILINE)


def run(command: list, folder: Path) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unavailable(f"'{' '.join(map(str, command))}' failed: {last}")
    return result.stdout


def environment(root: Path) -> dict[str, str]:
    """The process's environment, with the programs and libraries below `root` in reach."""
    programs = [root / folder for folder in ("usr/bin", "usr/sbin", "bin", "sbin")]
    libraries = [folder for base in ("usr/lib", "lib") for folder in (root / base).glob("*-linux-gnu*")]
    added = {"PATH": programs, "LD_LIBRARY_PATH": libraries}
    return os.environ | {
        name: ":".join([*map(str, folders), *filter(None, [os.environ.get(name)])]) for name, folders in added.items()
    }
