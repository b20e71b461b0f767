"""Runs a Deployment's container under containerd and runc, confined as its securityContext says.

containerd comes from the machine, or from Debian's package unpacked into a cache. It keeps everything in a folder and a
namespace of its own, so that one that runs on the machine is not met; Kubernetes itself is not needed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import debian
import manifests

# What containerd grants unless it is dropped (containerd, oci/spec.go: defaultUnixCaps).
DEFAULT_CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)
CONFIGURATION = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/socket"
"""
START_SECONDS = 30


class Containerd:
    """A containerd of our own, until `close`."""

    def __init__(self) -> None:
        """Raises debian.Unavailable where apt does not offer containerd."""
        on_machine = all(shutil.which(name) for name in ("containerd", "ctr", "runc"))
        self.environment = dict(os.environ) if on_machine else debian.environment(debian.unpacked("containerd"))
        # Below /tmp itself: the path of a socket has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="meesh-k8s-"))
        self.namespace = self.folder.name
        self.shim_sockets_were_there = Path("/run/containerd").exists()
        (self.folder / "config.toml").write_text(CONFIGURATION.format(folder=self.folder))
        with open(self.folder / "containerd.log", "wb") as log:
            command = [self.program("containerd"), "--config", self.folder / "config.toml"]
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while self.try_ctr("version").returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = (self.folder / "containerd.log").read_text()
                self.close()
                raise RuntimeError(f"containerd did not start: {text[-2000:]}")
            time.sleep(0.1)
        # overlayfs cannot lie on overlayfs, which is what a container's own /tmp is on.
        overlay = [line for line in self.ctr("plugins", "ls").splitlines() if " overlayfs " in line]
        self.snapshotter = "overlayfs" if overlay and overlay[0].split()[-1] == "ok" else "native"

    def program(self, name: str) -> str:
        return shutil.which(name, path=self.environment["PATH"]) or name

    def ctr_command(self, *arguments) -> list[str]:
        return [self.program("ctr"), "--address", f"{self.folder}/socket", "--namespace", self.namespace,
                *map(str, arguments)]

    def try_ctr(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run(self.ctr_command(*arguments), env=self.environment, capture_output=True, text=True)

    def ctr(self, *arguments) -> str:
        result = self.try_ctr(*arguments)
        if result.returncode != 0:
            raise RuntimeError(f"ctr {arguments[0]}: {result.stderr.strip()}")
        return result.stdout

    def load(self, image: Path) -> str:
        """Imports an image and returns its name."""
        before = set(self.ctr("images", "ls", "-q").split())
        self.ctr("images", "import", "--snapshotter", self.snapshotter, image)
        (name,) = set(self.ctr("images", "ls", "-q").split()) - before
        return name

    def start(self, identifier: str, image: str, flags: list[str], arguments: list[str]) -> "Container":
        folder = self.folder / identifier
        folder.mkdir()
        command = self.ctr_command("run", "--rm", "--snapshotter", self.snapshotter, "--fifo-dir", folder / "fifo",
                                   "--pid-file", folder / "pid", *flags, image, identifier, *arguments)
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return Container(process, folder / "log", folder / "pid")

    def close(self) -> None:
        if self.process.poll() is None:
            for identifier in self.try_ctr("tasks", "ls", "-q").stdout.split():
                self.try_ctr("tasks", "kill", "--signal", "SIGKILL", identifier)
            self.process.terminate()
            self.process.wait(START_SECONDS)
        for pattern in (self.namespace, f"*/{self.namespace}"):  # version 2, version 1
            for group in Path("/sys/fs/cgroup").glob(pattern):
                group.rmdir()
        if not self.shim_sockets_were_there:
            shutil.rmtree("/run/containerd", ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Container:
    process: subprocess.Popen
    log_file: Path
    pid_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def pid(self) -> int:
        """The main process, as the machine numbers it."""
        deadline = time.monotonic() + START_SECONDS
        while not (self.pid_file.exists() and self.pid_file.read_text()):
            assert self.process.poll() is None and time.monotonic() < deadline, f"container did not start: {self.log}"
            time.sleep(0.005)
        return int(self.pid_file.read_text())

    def in_network(self, code: str, *arguments: str, seconds: float = 60) -> str:
        """What a Python program prints that runs with the container's network; the container has no other."""
        command = ["nsenter", f"--net=/proc/{self.pid()}/ns/net", sys.executable, "-c", code, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        assert result.returncode == 0, f"{result.stderr}\ncontainer: {self.log}"
        return result.stdout

    def terminate(self, seconds: float) -> int:
        """Sends SIGTERM as the kubelet does and returns the exit code."""
        os.kill(self.pid(), signal.SIGTERM)
        return self.process.wait(seconds)


def flags(objects: list[dict], deployment: dict, volumes_folder: Path) -> list[str]:
    """`ctr run`'s flags for the first container of a Deployment; its volumes are written below `volumes_folder`."""
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    own = container["securityContext"]
    # New privileges are off unless ctr is told otherwise.
    assert own["allowPrivilegeEscalation"] is False and own["capabilities"] == {"drop": ["ALL"]}
    assert (pod["securityContext"] | own)["seccompProfile"] == {"type": "RuntimeDefault"}
    found = ["--seccomp", *(f"--cap-drop=CAP_{name}" for name in DEFAULT_CAPABILITIES)]
    if own["readOnlyRootFilesystem"]:
        found.append("--read-only")
    found.append(f"--memory-limit={manifests.quantity(container['resources']['limits']['memory'])}")
    found += [f"--env={variable['name']}={variable['value']}" for variable in container.get("env", [])]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    # A mount inside another comes after it.
    mounts = sorted(container["volumeMounts"], key=lambda mount: mount["mountPath"])
    for mount in mounts:
        source = written_volume(objects, volumes[mount["name"]], volumes_folder, pod["securityContext"]["fsGroup"])
        mode = "ro" if mount.get("readOnly") else "rw"
        found.append(f"--mount=type=bind,src={source},dst={mount['mountPath']},options=rbind:{mode}")
        for outer in mounts:
            # The kubelet makes the mount point in a read-only volume (its MakeNestedMountpoints).
            if mount["mountPath"].startswith(f"{outer['mountPath']}/"):
                inner = os.path.relpath(mount["mountPath"], outer["mountPath"])
                (volumes_folder / outer["name"] / inner).mkdir(exist_ok=True)
    resolver = volumes_folder / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\n")
    return [*found, f"--mount=type=bind,src={resolver},dst=/etc/resolv.conf,options=rbind:ro"]


def written_volume(objects: list[dict], volume: dict, folder: Path, group: int) -> Path:
    """A volume as the kubelet writes it: owned by root and the pod's fsGroup, which may read what the owner may."""
    root = folder / volume["name"]
    root.mkdir(parents=True)
    secret = any(kind == "Secret" for kind, _, _ in manifests.volume_sources(volume))
    for name, content in manifests.volume_files(objects, volume).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.chown(path, 0, group)
        path.chmod(0o440 if secret else 0o644)
    os.chown(root, 0, group)
    root.chmod(0o2777 if "emptyDir" in volume else 0o755)
    return root
