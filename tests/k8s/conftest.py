"""What the Kubernetes tests share: the rendered manifests and the image."""

import os
from pathlib import Path

import debian
import pytest
import renderer
from images import packed

TLS_OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: meesh
resources: [{dev}]
components: [{tls}]
secretGenerator:
  - name: meesh-tls
    literals: [tls.crt=certificate, tls.key=key]
    options: {{disableNameSuffixHash: true}}
"""


def rendered(folder: Path) -> list[dict]:
    try:
        return renderer.render(folder)
    except debian.Unavailable as reason:
        pytest.skip(f"NOT TESTED: no kubectl, kustomize or Go, and {reason}")


@pytest.fixture(scope="session")
def base() -> list[dict]:
    return rendered(renderer.K8S / "base/meesh")


@pytest.fixture(scope="session")
def dev() -> list[dict]:
    return rendered(renderer.K8S / "overlays/dev")


@pytest.fixture(scope="session")
def dev_with_tls(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("overlay")
    # kustomize refuses absolute paths.
    paths = {name: os.path.relpath(renderer.K8S / path, folder.resolve())
             for name, path in (("dev", "overlays/dev"), ("tls", "components/tls"))}
    (folder / "kustomization.yaml").write_text(TLS_OVERLAY.format(**paths))
    return rendered(folder)


@pytest.fixture(scope="session", params=["dev", "dev_with_tls"])
def overlay(request) -> list[dict]:
    """Every set of manifests that a user can apply as it stands."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def image(tmp_path_factory) -> Path:
    """The image of `make image`, or the one that MEESH_IMAGE names."""
    given = os.environ.get("MEESH_IMAGE")
    return Path(given) if given else packed(tmp_path_factory.mktemp("image") / "meesh.tar")
