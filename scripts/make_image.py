#!/usr/bin/env python3
"""`make image`: writes meesh as an OCI image, one layer, without a container engine.

    make_image.py [--output FILE.tar] [--tag NAME:TAG] [--binary FILE]

The layer holds the stripped binary, the shared libraries it asks for, the certificate authorities of this machine, a
user (uid 65532) and the folders that are written to. The same binary gives the same bytes: times are 0, entries sorted,
owners fixed. The tar is an OCI layout for `ctr images import` and `skopeo copy oci-archive:`, and `docker load` and
`podman load` read it too.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UID = 65532
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
)
# Go's names for the machines that this script may run on (OCI image specification, `architecture`).
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PASSWD = f"root:x:0:0:root:/:/sbin/nologin\nmeesh:x:{UID}:{UID}:meesh:/:/sbin/nologin\n"
GROUP = f"root:x:0:\nmeesh:x:{UID}:\n"
# Without it glibc asks DNS before /etc/hosts, in which Kubernetes writes the pod's own name.
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"


class ImageError(Exception):
    """Why there is no image, with the remedy."""


def main() -> int:
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    parser = argparse.ArgumentParser(description="writes meesh as an OCI image without a container engine")
    parser.add_argument("--output", type=Path, default=target_dir() / "image" / f"meesh-{version}.tar")
    parser.add_argument("--tag", default=f"localhost/meesh:{version}", help="the image's name (default: %(default)s)")
    parser.add_argument("--binary", type=Path, help="pack this one instead of building meesh without its demo")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            binary = stripped(arguments.binary or build_binary(Path(scratch)), Path(scratch))
            write_image(binary, arguments.output, arguments.tag, version)
    except (ImageError, OSError) as error:
        print(f"make_image: {error}", file=sys.stderr)
        return 1
    return 0


def target_dir() -> Path:
    """The Makefile's: DataFusion is compiled there already."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or Path.home() / ".cache/meesh/target")


def build_binary(scratch: Path) -> Path:
    """Builds meesh without `demo`: only our own crate is compiled again, and release/meesh is put back afterwards."""
    built, copy = target_dir() / "release" / "meesh", scratch / "meesh"
    kept = built.with_name(".meesh-kept")
    kept.unlink(missing_ok=True)
    if built.exists():
        os.link(built, kept)
    command = ["cargo", "build", "--release", "--locked", "--no-default-features", "--package=meesh", "--bin=meesh"]
    try:
        subprocess.run(command, cwd=ROOT, env=os.environ | {"CARGO_TARGET_DIR": str(target_dir())}, check=True)
        shutil.copy2(built, copy)
    except FileNotFoundError as error:
        raise ImageError("cargo is not installed (install Rust from https://rustup.rs)") from error
    except subprocess.CalledProcessError as error:
        raise ImageError(f"cargo failed with exit code {error.returncode}") from error
    finally:
        if kept.exists():
            os.replace(kept, built)
            kept.unlink(missing_ok=True)  # still there if both were one file: a rename does nothing then
    return copy


def stripped(binary: Path, scratch: Path) -> Path:
    output = scratch / "stripped"
    if shutil.which("strip") is None:
        raise ImageError("strip is not installed (Debian: apt-get install binutils)")
    result = subprocess.run(["strip", "-o", output, binary], capture_output=True, text=True)
    if result.returncode != 0:
        raise ImageError(f"binary '{binary}' cannot be stripped: {result.stderr.strip()}")
    return output


def shared_libraries(binary: Path) -> list[Path]:
    """The files that the dynamic loader opens for `binary`, the loader first; none for a static one."""
    result = subprocess.run(["ldd", binary], capture_output=True, text=True)
    if result.returncode != 0:
        if "not a dynamic executable" in result.stderr or "statically linked" in result.stdout:
            return []
        raise ImageError(f"ldd cannot read binary '{binary}': {result.stderr.strip()}")
    missing = re.findall(r"(\S+) => not found", result.stdout)
    if missing:
        raise ImageError(f"binary '{binary}' needs {', '.join(missing)}, which this machine lacks")
    found = re.findall(r"(?:=> )?(/\S+) \(0x", result.stdout)
    # Before 2.34 glibc loads its resolver when a name is first looked up, so no tool lists it (glibc NEWS 2.34).
    if any(path.endswith("/libc.so.6") for path in found) and glibc_version() < (2, 34):
        folder = Path(next(path for path in found if path.endswith("/libc.so.6"))).parent
        found += [str(folder / name) for name in ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")]
    return [Path(path) for path in sorted(set(found))]


def glibc_version() -> tuple[int, ...]:
    return tuple(int(part) for part in os.confstr("CS_GNU_LIBC_VERSION").split()[1].split("."))


def certificate_authorities() -> bytes:
    for path in CA_BUNDLES:
        if os.path.exists(path):
            return Path(path).read_bytes()
    raise ImageError("no certificate authorities in /etc/ssl/certs (Debian: apt-get install ca-certificates)")


def layer_entries(binary: Path) -> dict[str, tuple[int, int, bytes | None]]:
    """Path in the image -> mode, owner, content (None for a folder)."""
    entries = {
        "etc/passwd": (0o644, 0, PASSWD.encode()),
        "etc/group": (0o644, 0, GROUP.encode()),
        "etc/nsswitch.conf": (0o644, 0, NSSWITCH.encode()),
        "etc/ssl/certs/ca-certificates.crt": (0o644, 0, certificate_authorities()),
        "etc/meesh": (0o755, 0, None),
        "usr/bin/meesh": (0o755, 0, binary.read_bytes()),
        "spill": (0o750, UID, None),
        "tmp": (0o1777, 0, None),
    }
    for library in shared_libraries(binary):
        entries[str(library).lstrip("/")] = (0o755, 0, library.read_bytes())
    for path in list(entries):
        for folder in list(Path(path).parents)[:-1]:
            entries.setdefault(str(folder), (0o755, 0, None))
    return dict(sorted(entries.items()))


def layer_tar(entries: dict[str, tuple[int, int, bytes | None]]) -> bytes:
    return tar((name, mode, owner, content) for name, (mode, owner, content) in entries.items())


def tar(entries) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, mode, owner, content in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid, info.mtime = mode, owner, owner, 0
            if content is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(content)
            archive.addfile(info, None if content is None else io.BytesIO(content))
    return buffer.getvalue()


def image_config(diff_id: str, version: str) -> dict:
    """https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md"""
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": f"{UID}:{UID}",
            "Entrypoint": ["/usr/bin/meesh"],
            "Cmd": ["serve", "--etc", "/etc/meesh"],
            "ExposedPorts": {"32010/tcp": {}, "9090/tcp": {}},
            "Env": ["PATH=/usr/bin"],
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Labels": {
                "org.opencontainers.image.title": "meesh",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }


def architecture() -> str:
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise ImageError(f"no image is known for machine '{machine}' (known: {', '.join(ARCHITECTURES)})")
    return ARCHITECTURES[machine]


def write_image(binary: Path, output: Path, tag: str, version: str) -> None:
    layer = layer_tar(layer_entries(binary))
    compressed = gzip.compress(layer, compresslevel=9, mtime=0)
    config = canonical_json(image_config(digest(layer), version))
    manifest = canonical_json({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", compressed)],
    })
    index = canonical_json({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor("application/vnd.oci.image.manifest.v1+json", manifest) | {"annotations": {
            # containerd names the image after the first, the specification's tools after the second.
            "io.containerd.image.name": tag,
            "org.opencontainers.image.ref.name": tag.rpartition(":")[2],
        }}],
    })
    docker = canonical_json([{"Config": blob(config), "RepoTags": [tag], "Layers": [blob(compressed)]}])
    files = {
        "oci-layout": canonical_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": index,
        "manifest.json": docker,
        **{blob(content): content for content in (config, manifest, compressed)},
    }
    folders = [(name, 0o755, 0, None) for name in ("blobs", "blobs/sha256")]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(tar([*folders, *((name, 0o644, 0, files[name]) for name in sorted(files))]))
    print(f"image   {tag} {digest(manifest)}")
    print(f"file    {output} ({megabytes(output.stat().st_size)})")
    print(f"layer   {megabytes(len(compressed))} compressed, {megabytes(len(layer))} on disk")
    print(f"binary  {megabytes(binary.stat().st_size)} stripped")


def canonical_json(value) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def blob(content: bytes) -> str:
    return "blobs/" + digest(content).replace(":", "/")


def descriptor(media_type: str, content: bytes) -> dict:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
