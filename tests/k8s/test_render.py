"""The kustomizations render, and what they render is what the API server's schemas know."""

import copy
import re
import subprocess

import kubernetes_validate
import manifests
import pytest
import renderer

# The oldest that knows every field used here (the preStop action `sleep` is on by default since 1.30), and the newest.
KUBERNETES_VERSIONS = ("1.30", "1.37")


def test_a_change_of_the_configuration_rolls_the_pod(dev):
    volumes = manifests.one(dev, "Deployment", "meesh")["spec"]["template"]["spec"]["volumes"]
    assert re.fullmatch(r"meesh-config-[a-z0-9]{10}", volumes[0]["configMap"]["name"])


def test_every_kustomization_is_tested():
    """A new overlay or component fails here until it is rendered below, or in conftest.py."""
    found = {str(path.parent.relative_to(renderer.K8S)) for path in renderer.K8S.rglob("kustomization.yaml")}
    assert found == {"base/meesh", "overlays/dev", "components/tls"}


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_the_schema_of_every_object_is_kept(version, overlay, base):
    for item in overlay + base:
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize(("path", "value"), [("replicas", "one"), ("replica", 1)])
def test_the_schema_is_strict(path, value, dev):
    deployment = copy.deepcopy(manifests.one(dev, "Deployment", "meesh"))
    deployment["spec"][path] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES_VERSIONS[-1], strict=True)


def test_tls_replaces_plain_text(dev, dev_with_tls):
    protocols = [manifests.one(objects, "Service", "meesh")["spec"]["ports"][0] for objects in (dev, dev_with_tls)]
    assert [port["appProtocol"] for port in protocols] == ["kubernetes.io/h2c", "https"]
    assert [port["targetPort"] for port in protocols] == ["flight", "flight"]


def test_git_ignores_the_secrets_of_every_overlay_but_dev():
    paths = ["k8s/overlays/prod/secrets/sales.env", "k8s/base/meesh/secrets/password.db"]
    kept = ["k8s/overlays/dev/secrets/sales.env", "k8s/base/meesh/secrets/sales.env.example"]
    result = subprocess.run(["git", "check-ignore", "--no-index", *paths, *kept], cwd=renderer.K8S.parent,
                            capture_output=True, text=True)
    assert result.stdout.split() == paths


def test_an_example_says_which_keys_a_secret_has(dev):
    examples = renderer.K8S / "base/meesh/secrets"
    for name in ("sales", "marketing", "lake"):
        keys = manifests.properties((examples / f"{name}.env.example").read_bytes())
        assert set(keys) == set(manifests.files_of(manifests.one(dev, "Secret", f"meesh-{name}"))), name
        assert not any(keys.values()), name
