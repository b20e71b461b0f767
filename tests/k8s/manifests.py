"""Questions to rendered objects: which are there, what a pod mounts, what its configuration says."""

import base64
import re
from collections.abc import Iterator

import yaml

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ (those used here)
QUANTITY_UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9}
# meesh's own sizes count in 1024s, as Trino's do.
SIZE_UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}
REFERENCE = re.compile(r"\$\{FILE:([^}]+)\}")


def of_kind(objects: list[dict], *kinds: str) -> list[dict]:
    return [item for item in objects if item["kind"] in kinds]


def one(objects: list[dict], kind: str, name: str) -> dict:
    found = [item for item in of_kind(objects, kind) if item["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects {kind} '{name}'"
    return found[0]


def workloads(objects: list[dict]) -> Iterator[tuple[str, dict]]:
    """Name and pod template of everything that makes pods."""
    for item in of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "Job"):
        yield f"{item['kind']} {item['metadata']['name']}", item["spec"]["template"]


def containers(pod: dict) -> list[dict]:
    return pod.get("initContainers", []) + pod["containers"]


def matches(selector: dict, labels: dict) -> bool:
    """Of a LabelSelector's `matchLabels`; `matchExpressions` are not used here, and refused rather than ignored."""
    assert set(selector) <= {"matchLabels"}, selector
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def quantity(text: str) -> int:
    return scaled(text, QUANTITY_UNITS)


def size(text: str) -> int:
    return scaled(text, SIZE_UNITS)


def scaled(text: str, units: dict[str, int]) -> int:
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    return round(float(number) * units[unit])


def files_of(item: dict) -> dict[str, bytes]:
    """Key -> content of a ConfigMap or Secret."""
    if item["kind"] == "Secret":
        encoded = {key: base64.b64decode(value) for key, value in item.get("data", {}).items()}
        return encoded | {key: value.encode() for key, value in item.get("stringData", {}).items()}
    return {key: value.encode() for key, value in item.get("data", {}).items()}


def volume_sources(volume: dict) -> list[tuple[str, str, list[dict] | None]]:
    """Kind, name and items of every ConfigMap and Secret in a volume."""
    sources = volume["projected"]["sources"] if "projected" in volume else [volume]
    found = []
    for source in sources:
        if "configMap" in source:
            found.append(("ConfigMap", source["configMap"]["name"], source["configMap"].get("items")))
        if "secret" in source:
            name = source["secret"].get("name") or source["secret"].get("secretName")
            found.append(("Secret", name, source["secret"].get("items")))
    return found


def volume_files(objects: list[dict], volume: dict) -> dict[str, bytes]:
    """Path below the mount -> content, as the kubelet would write them."""
    files = {}
    for kind, name, items in volume_sources(volume):
        content = files_of(one(objects, kind, name))
        paths = {item["key"]: item["path"] for item in items} if items else {key: key for key in content}
        files |= {path: content[key] for key, path in paths.items()}
    return files


def mounted_files(objects: list[dict], pod: dict, container: dict) -> dict[str, bytes]:
    """Absolute path -> content of everything that a container finds in its mounted ConfigMaps and Secrets."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    return {
        f"{mount['mountPath']}/{path}": content
        for mount in container.get("volumeMounts", [])
        for path, content in volume_files(objects, volumes[mount["name"]]).items()
    }


def settings(text: bytes) -> dict[str, str]:
    """meesh.yaml, flattened to dotted names."""
    def flatten(value, prefix: str) -> Iterator[tuple[str, str]]:
        for key, inner in value.items():
            if isinstance(inner, dict):
                yield from flatten(inner, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", inner

    return dict(flatten(yaml.safe_load(text), ""))


def properties(text: bytes) -> dict[str, str]:
    lines = (line.strip() for line in text.decode().splitlines())
    return dict(line.split("=", 1) for line in lines if line and line[0] not in "#!")
