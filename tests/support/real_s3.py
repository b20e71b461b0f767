"""S3 servers that check signatures: s3s-fs, which `meesh demo` brings along, and MinIO where it can be built."""

import os
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

from support.meesh import demo
from support.postgres import free_port

ACCESS_KEY, SECRET_KEY = "demo", "demo-secret"
MINIO = Path.home() / ".cache" / "meesh" / "bin" / "minio"
MODULE = "github.com/minio/minio@latest"
BUILD_SECONDS = 900


class Unavailable(Exception):
    """Why there is no MinIO here."""


@dataclass
class S3:
    """An S3 endpoint that takes [ACCESS_KEY] and [SECRET_KEY], and what serves it."""

    endpoint: str
    name: str


@contextmanager
def s3s_fs():
    """The demo's own server, with the demo's bucket `lake`."""
    with demo() as (_, ready):
        yield S3(ready["s3"]["endpoint"], "s3s-fs")


@contextmanager
def minio(folder: Path, bucket: Path):
    """MinIO that keeps its objects below `folder`, with the files below `bucket` in a bucket of its name.

    Raises Unavailable where it cannot be built.
    """
    port = free_port()
    environment = {**os.environ, "MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY,
                   "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"}
    process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", minio_program(), "server", folder, "--quiet",
                                "--address", f"127.0.0.1:{port}"], env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        wait_for(f"{endpoint}/minio/health/ready", process)
        upload(endpoint, bucket)
        yield S3(endpoint, "MinIO")
    finally:
        process.terminate()
        process.wait()


def minio_program() -> Path:
    """MinIO built from its Go module (its makers publish no binaries any more), once a machine."""
    if MINIO.exists():
        return MINIO
    go = shutil.which("go")
    if go is None:
        raise Unavailable("MinIO cannot be built: this machine has no Go")
    print("building MinIO from its Go module (some minutes, once)", flush=True)
    command = [go, "install", "-trimpath", "-ldflags=-s -w", MODULE]
    environment = {**os.environ, "GOBIN": str(MINIO.parent), "CGO_ENABLED": "0"}
    try:
        subprocess.run(command, env=environment, cwd="/", check=True, capture_output=True, text=True,
                       timeout=BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"MinIO could not be built in {BUILD_SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unavailable(f"MinIO cannot be built from module '{MODULE}': {last}") from None
    return MINIO


def wait_for(url: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no answer from {url}") from None
            time.sleep(0.05)


def upload(endpoint: str, bucket: Path) -> None:
    """Puts every file below `bucket` into the bucket of that name unless it is there with its size."""
    host = endpoint.removeprefix("http://")
    s3 = pafs.S3FileSystem(access_key=ACCESS_KEY, secret_key=SECRET_KEY, endpoint_override=host, scheme="http",
                           region="us-east-1", allow_bucket_creation=True)
    s3.create_dir(bucket.name)
    for file in sorted(path for path in bucket.rglob("*") if path.is_file()):
        key = str(file.relative_to(bucket.parent))
        there = s3.get_file_info(key)
        if there.type != pafs.FileType.File or there.size != file.stat().st_size:
            pafs.copy_files(str(file), key, source_filesystem=pafs.LocalFileSystem(), destination_filesystem=s3)
