"""What `make image` writes: the layout, what is in the layer, the same bytes twice."""

import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest
from images import ROOT, packed


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """An image of a small program that is linked as meesh is: dynamically, to glibc."""
    return packed(tmp_path_factory.mktemp("small") / "image.tar", "--binary", shutil.which("true"), "--tag", "a.b/c:1")


def contents(archive: bytes) -> dict[str, bytes | None]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {entry.name: tar.extractfile(entry).read() if entry.isfile() else None for entry in tar}


def layer(image: Path) -> tuple[bytes, list[tarfile.TarInfo]]:
    files = contents(image.read_bytes())
    (entry,) = json.loads(files["manifest.json"])
    (name,) = entry["Layers"]
    data = gzip.decompress(files[name])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return data, tar.getmembers()


def test_the_same_binary_gives_the_same_bytes(small, tmp_path):
    again = packed(tmp_path / "again.tar", "--binary", shutil.which("true"), "--tag", "a.b/c:1")
    assert hashlib.sha256(small.read_bytes()).digest() == hashlib.sha256(again.read_bytes()).digest()


def test_every_descriptor_points_to_its_blob(small):
    """https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md"""
    files = contents(small.read_bytes())

    def blob(descriptor: dict) -> bytes:
        algorithm, _, value = descriptor["digest"].partition(":")
        content = files[f"blobs/{algorithm}/{value}"]
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (value, descriptor["size"])
        return content

    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (manifest_descriptor,) = json.loads(files["index.json"])["manifests"]
    assert manifest_descriptor["annotations"]["io.containerd.image.name"] == "a.b/c:1"
    manifest = json.loads(blob(manifest_descriptor))
    config = json.loads(blob(manifest["config"]))
    (layer_descriptor,) = manifest["layers"]
    unpacked = hashlib.sha256(gzip.decompress(blob(layer_descriptor))).hexdigest()
    assert config["rootfs"]["diff_ids"] == [f"sha256:{unpacked}"]
    assert len([name for name in files if name.startswith("blobs/sha256/")]) == 3


def test_the_layer_is_sorted_timeless_and_owned_by_root(small):
    _, entries = layer(small)
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {entry.mtime for entry in entries} == {0}
    assert {entry.name: entry.uid for entry in entries if entry.uid} == {"spill": 65532}
    assert {entry.name for entry in entries if entry.mode & 0o002} == {"tmp"}


def test_the_layer_holds_what_a_process_needs(small):
    _, entries = layer(small)
    files = {entry.name for entry in entries if entry.isfile()}
    assert {"usr/bin/meesh", "etc/passwd", "etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt"} <= files
    libraries = {Path(name).name for name in files if ".so" in name}
    assert "libc.so.6" in libraries and any(name.startswith("ld-linux") for name in libraries), libraries


def test_the_image_is_small(image):
    data, entries = layer(image)
    print(f"\nimage: {image.stat().st_size / 1e6:.1f} MB, unpacked {len(data) / 1e6:.1f} MB")
    assert image.stat().st_size <= 60e6
    assert not [entry.name for entry in entries if re.search(r"demo|\.sql$|\.csv$", entry.name)]


def test_the_images_build_compiles_no_dependency_again():
    """With and without `demo` every dependency has the same features, or `make image` would compile DataFusion anew."""
    with_demo, without = (dependencies(*flags) for flags in ((), ("--no-default-features",)))
    ours = {line for line in with_demo | without if line.startswith("meesh v")}
    assert without - with_demo - ours == set()


def dependencies(*flags: str) -> set[str]:
    command = ["cargo", "tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none",
               "--format", "{p} [{f}]", *flags]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return {line.removesuffix(" (*)") for line in result.stdout.splitlines()}


def test_a_binary_that_is_none_is_refused(tmp_path):
    (tmp_path / "text").write_text("no program")
    with pytest.raises(AssertionError, match="text' cannot be stripped"):
        packed(tmp_path / "image.tar", "--binary", str(tmp_path / "text"))


def test_the_dockerfile_agrees():
    text = (ROOT / "Dockerfile").read_text()
    toolchain = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    images = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert images[0].startswith(f"rust:{toolchain}-")
    assert all(":" in name and not name.endswith(":latest") for name in images)
    assert "--no-default-features" in text and "--locked" in text
    assert text.splitlines()[-4:] == ["USER 65532:65532", "EXPOSE 32010 9090", 'ENTRYPOINT ["/usr/bin/meesh"]',
                                      'CMD ["serve", "--etc", "/etc/meesh"]']


def test_the_docker_build_sees_every_crate():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    members = {member.split("/")[0] for member in manifest["workspace"]["members"]}
    # cargo refuses a manifest whose targets are not there, built or not.
    targets = {target["path"] for kind in ("bin", "test", "bench", "example") for target in manifest.get(kind, [])}
    assert members | targets | {"src", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"} <= kept
