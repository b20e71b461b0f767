"""The image starts as the Deployment asks for it: uid, read-only root, no capabilities, 512 MiB, probes, SIGTERM."""

import os
import time
from contextlib import contextmanager

import containers
import debian
import images
import manifests
import pytest

PROBE_SECONDS = 20
# Brings the container's loopback interface up (ioctl SIOCGIFFLAGS, SIOCSIFFLAGS), then asks until somebody answers.
ASK = """
import fcntl, socket, struct, sys, time, urllib.error, urllib.request
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
flags = struct.unpack("16sh", fcntl.ioctl(probe, 0x8913, struct.pack("16sh", b"lo", 0)))[1]
fcntl.ioctl(probe, 0x8914, struct.pack("16sh", b"lo", flags | 1))
deadline = time.monotonic() + float(sys.argv[2])
while True:
    try:
        answer = urllib.request.urlopen(sys.argv[1], timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.01)
        continue
    print(answer.status, answer.read().decode())
    break
"""
SELECT = """
import sys
from adbc_driver_flightsql import DatabaseOptions, dbapi
options = {"username": "dev", "password": sys.argv[1]}
with dbapi.connect("grpc://127.0.0.1:32010", db_kwargs=options) as connection, connection.cursor() as cursor:
    cursor.execute("select 6 * 7 as answer")
    print(cursor.fetchone()[0])
"""


@pytest.fixture(scope="module")
def containerd():
    if os.getuid() != 0:
        pytest.skip("NOT TESTED: containers need root (sudo make test)")
    try:
        daemon = containers.Containerd()
    except debian.Unavailable as reason:
        pytest.skip(f"NOT TESTED: {reason}")
    yield daemon
    daemon.close()


@pytest.fixture(scope="module")
def loaded(containerd, image) -> str:
    return containerd.load(image)


@pytest.fixture(scope="module")
def deployment(dev) -> dict:
    return manifests.one(dev, "Deployment", "meesh")


@contextmanager
def running(name, containerd, loaded, image, dev, deployment):
    """The Deployment's container; no source that its catalogs name exists."""
    flags = containers.flags(dev, deployment, containerd.folder / f"volumes-{name}")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    started = time.monotonic()
    container = containerd.start(name, loaded, flags, [*images.settings(image)["Entrypoint"], *arguments])
    try:
        container.in_network(ASK, "http://127.0.0.1:9090/livez", str(PROBE_SECONDS))
        print(f"\ncontainer alive after {time.monotonic() - started:.2f} s (containerd and runc included)")
        yield container
    finally:
        if container.process.poll() is None:
            container.process.terminate()


@pytest.fixture(scope="module")
def pod(containerd, loaded, image, dev, deployment):
    with running("meesh", containerd, loaded, image, dev, deployment) as container:
        yield container


def test_the_image_has_the_pods_user(image, deployment):
    context = deployment["spec"]["template"]["spec"]["securityContext"]
    assert images.settings(image)["User"] == f"{context['runAsUser']}:{context['runAsGroup']}"


def test_the_image_declares_the_pods_ports(image, deployment):
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = {f"{port['containerPort']}/tcp" for port in container["ports"]}
    assert set(images.settings(image)["ExposedPorts"]) == ports


def test_the_version(containerd, loaded, image):
    entrypoint = images.settings(image)["Entrypoint"]
    container = containerd.start("version", loaded, ["--read-only"], [*entrypoint, "--version"])
    assert container.process.wait(30) == 0, container.log
    assert container.log.startswith("meesh "), container.log


def test_the_demo_is_not_in_the_image(containerd, loaded, image):
    entrypoint = images.settings(image)["Entrypoint"]
    container = containerd.start("demo", loaded, ["--read-only"], [*entrypoint, "demo", "--exit"])
    assert container.process.wait(30) == 2, container.log


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_the_probes_answer_with_every_source_down(probe, pod, deployment):
    path = deployment["spec"]["template"]["spec"]["containers"][0][probe]["httpGet"]["path"]
    status, _, text = pod.in_network(ASK, f"http://127.0.0.1:9090{path}", str(PROBE_SECONDS)).partition(" ")
    assert status == "200", f"{text}\n{pod.log}"


def test_readiness_names_every_catalog(pod):
    text = pod.in_network(ASK, "http://127.0.0.1:9090/readyz?verbose", str(PROBE_SECONDS))
    assert all(catalog in text for catalog in ("sales", "marketing", "lake")), text


def test_the_user_of_the_secret_is_answered(pod):
    pytest.importorskip("adbc_driver_flightsql", reason="NOT TESTED: the ADBC driver is not installed")
    assert pod.in_network(SELECT, "throw-away").split() == ["42"]


def test_the_process_is_confined(pod):
    with open(f"/proc/{pod.pid()}/status") as file:
        status = dict(line.strip().split(":\t", 1) for line in file if ":\t" in line)
    assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_only_the_writable_volumes_can_be_written_to(pod):
    with open(f"/proc/{pod.pid()}/mountinfo") as file:
        mounts = {fields[4]: fields[5].split(",")[0] for fields in map(str.split, file)}
    expected = {"/": "ro", "/etc/meesh": "ro", "/etc/meesh/catalog": "ro", "/run/secrets/meesh": "ro",
                "/spill": "rw", "/tmp": "rw"}
    assert {path: mounts.get(path) for path in expected} == expected


def test_the_memory_limit_is_the_pods(pod):
    with open(f"/proc/{pod.pid()}/cgroup") as file:
        groups = {name: path for _, name, path in (line.strip().split(":", 2) for line in file)}
    version_1 = f"/sys/fs/cgroup/memory{groups.get('memory', '')}/memory.limit_in_bytes"
    version_2 = f"/sys/fs/cgroup{groups.get('', '')}/memory.max"
    with open(version_1 if "memory" in groups else version_2) as file:
        assert int(file.read()) == 512 * 2**20


def test_an_idle_server_is_small(containerd, loaded, image, dev, deployment):
    with running("idle", containerd, loaded, image, dev, deployment) as idle:
        with open(f"/proc/{idle.pid()}/status") as file:
            resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    print(f"\nidle memory: {resident / 1024:.0f} MiB")
    assert resident <= 60 * 1024
