"""Renders a kustomization with what the machine has: kubectl, kustomize, or kustomize built from its Go module."""

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import debian
import yaml

K8S = Path(__file__).resolve().parents[2] / "k8s"
# The last release that Debian 12's Go (1.19) compiles; kubectl brings a newer one. Both render the same here.
MODULE = "sigs.k8s.io/kustomize/kustomize/v5@v5.0.3"


def render(folder: Path) -> list[dict]:
    """The objects of a kustomization, in order.

    Raises RuntimeError with kustomize's own message when it does not render.
    """
    result = subprocess.run([*command(), str(folder)], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"kustomization '{folder}' does not render: {result.stderr.strip()}")
    return [item for item in yaml.safe_load_all(result.stdout) if item]


@functools.cache
def command() -> tuple[str, ...]:
    if shutil.which("kubectl") and kubectl_kustomize_version() >= (5,):
        return ("kubectl", "kustomize")
    return (str(shutil.which("kustomize") or built_kustomize()), "build")


def kubectl_kustomize_version() -> tuple[int, ...]:
    result = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True)
    version = json.loads(result.stdout).get("kustomizeVersion", "v0") if result.returncode == 0 else "v0"
    return tuple(int(part) for part in re.findall(r"\d+", version))


def built_kustomize() -> Path:
    """kustomize from the Go module proxy, which checks its sums; Go itself comes from Debian where it is absent."""
    binary = debian.CACHE / "bin" / "kustomize"
    if binary.exists():
        return binary
    environment = dict(os.environ)
    root = None if shutil.which("go") else debian.unpacked("golang-go")
    if root:
        # Go would look for its own sources in the machine's /usr/lib.
        environment = debian.environment(root) | {"GOROOT": str(next((root / "usr/lib").glob("go-*")))}
    environment |= {"GOBIN": str(binary.parent), "CGO_ENABLED": "0"}
    go = shutil.which("go", path=environment["PATH"])
    result = subprocess.run([go, "install", MODULE], env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"kustomize cannot be built from module '{MODULE}': {result.stderr.strip()}")
    if root:
        shutil.rmtree(root)  # half a gigabyte that nothing needs any more
    return binary
