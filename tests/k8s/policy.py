"""Rules that rendered manifests keep. Each takes the objects and returns, in words, what breaks it."""

import re
from collections.abc import Callable, Iterator

import manifests
from manifests import containers, matches, mounted_files, of_kind, quantity, workloads

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, "Volume Types"
RESTRICTED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}
# What the admin port serves; a probe elsewhere would test nothing.
PROBE_PATHS = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
SECRET_NAME = re.compile(r"(password|secret|access-key|token|credential)", re.IGNORECASE)
MEMORY_LIMIT = "512Mi"

Rule = Callable[[list[dict]], Iterator[str]]


def pod_is_restricted(objects: list[dict]) -> Iterator[str]:
    for name, template in workloads(objects):
        pod = template["spec"]
        context = pod.get("securityContext", {})
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.get(field):
                yield f"{name}: {field}"
        if context.get("sysctls"):
            yield f"{name}: sysctls"
        for volume in pod.get("volumes", []):
            if not (set(volume) - {"name"}) <= RESTRICTED_VOLUMES:
                yield f"{name}: type of volume '{volume['name']}'"
        for container in containers(pod):
            for fault in container_faults(container, context):
                yield f"{name}: container '{container['name']}': {fault}"


def container_faults(container: dict, pod_context: dict) -> Iterator[str]:
    own = container.get("securityContext", {})
    context = pod_context | own
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    capabilities = own.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities are not dropped"
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "no seccomp profile"
    if own.get("procMount", "Default") != "Default" or context.get("seLinuxOptions") or context.get("appArmorProfile"):
        yield "procMount, seLinuxOptions or appArmorProfile"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "hostPort"
    # Not asked for by the profile, but by us.
    if own.get("readOnlyRootFilesystem") is not True:
        yield "its root filesystem can be written to"


def namespace_enforces_the_profile(objects: list[dict]) -> Iterator[str]:
    for item in of_kind(objects, "Namespace"):
        if item["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"Namespace {item['metadata']['name']} does not enforce the restricted profile"
    owned = {item["metadata"]["name"] for item in of_kind(objects, "Namespace")}
    for item in objects:
        if item["kind"] != "Namespace" and item["metadata"].get("namespace") not in owned:
            yield f"{item['kind']} {item['metadata']['name']} is in a namespace that is not among the objects"


def api_is_out_of_reach(objects: list[dict]) -> Iterator[str]:
    for name, template in workloads(objects):
        if template["spec"].get("automountServiceAccountToken") is not False:
            yield f"{name}: mounts a service account token"
        if template["spec"].get("enableServiceLinks") is not False:
            yield f"{name}: service links put other MEESH_ variables beside the settings"


def probes_meet_real_endpoints(objects: list[dict]) -> Iterator[str]:
    for name, template in workloads(objects):
        for container in containers(template["spec"]):
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            listens = listening_ports(objects, template["spec"], container)
            for port in sorted(set(ports.items()) ^ set(listens.items())):
                yield f"{name}: port {port} is not both declared and listened to"
            for probe, path in PROBE_PATHS.items():
                action = container.get(probe, {}).get("httpGet", {})
                if (action.get("port"), action.get("path")) != ("admin", path) or "host" in action:
                    yield f"{name}: {probe} asks {action or 'nothing'} instead of admin{path}"


def listening_ports(objects: list[dict], pod: dict, container: dict) -> dict[str, int]:
    """The ports that meesh.yaml opens to other pods."""
    configured = manifests.settings(mounted_files(objects, pod, container)["/etc/meesh/meesh.yaml"])
    listens = {door: configured.get(f"{door}.listen", "127.0.0.1:0").rsplit(":", 1) for door in ("flight", "admin")}
    return {door: int(port) for door, (host, port) in listens.items() if host == "0.0.0.0"}


def selectors_find_a_pod(objects: list[dict]) -> Iterator[str]:
    templates = [template for _, template in workloads(objects)]
    labels = [template["metadata"]["labels"] for template in templates]
    ports = {port["name"] for template in templates for c in containers(template["spec"]) for port in c["ports"]}
    for item in of_kind(objects, "Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment"):
        spec, name = item["spec"], f"{item['kind']} {item['metadata']['name']}"
        selector = spec.get("podSelector", spec.get("selector"))
        selector = {"matchLabels": selector} if item["kind"] == "Service" else selector
        if not any(matches(selector, found) for found in labels):
            yield f"{name} selects no pod"
        for port in spec.get("ports", []) if item["kind"] == "Service" else []:
            if port["targetPort"] not in ports:
                yield f"{name} points to port '{port['targetPort']}', which no container has"


def references_exist(objects: list[dict]) -> Iterator[str]:
    known = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    for name, template in workloads(objects):
        pod = template["spec"]
        if ("ServiceAccount", pod["serviceAccountName"]) not in known:
            yield f"{name}: ServiceAccount '{pod['serviceAccountName']}' does not exist"
        for kind, target, keys in references(pod):
            if (kind, target) not in known:
                yield f"{name}: {kind} '{target}' does not exist"
                continue
            for key in keys - set(manifests.files_of(known[kind, target])):
                yield f"{name}: {kind} '{target}' has no key '{key}'"
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
        for volume in volumes ^ mounted:
            yield f"{name}: volume '{volume}' is not both declared and mounted"


def references(pod: dict) -> Iterator[tuple[str, str, set[str]]]:
    """Kind, name and wanted keys of every ConfigMap and Secret that a pod names."""
    for volume in pod["volumes"]:
        for kind, name, items in manifests.volume_sources(volume):
            yield kind, name, {item["key"] for item in items or []}
    kinds = {
        "configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret", "configMapRef": "ConfigMap", "secretRef": "Secret",
    }
    for container in containers(pod):
        variables = [variable.get("valueFrom", {}) for variable in container.get("env", [])]
        for entry in variables + container.get("envFrom", []):
            for field, kind in kinds.items():
                if field in entry:
                    yield kind, entry[field]["name"], {entry[field]["key"]} if "key" in entry[field] else set()


def files_are_mounted(objects: list[dict]) -> Iterator[str]:
    """Every path that a setting, a catalog or a variable names is a mounted file, and spill.dir a writable volume."""
    for name, template in workloads(objects):
        pod = template["spec"]
        for container in containers(pod):
            files = mounted_files(objects, pod, container)
            wanted = set()
            for path, content in files.items():
                wanted |= set(manifests.REFERENCE.findall(content.decode())) if "/etc/" in path else set()
            configured = manifests.settings(files["/etc/meesh/meesh.yaml"])
            wanted.add(configured["users.file"])
            wanted |= {item["value"] for item in container.get("env", []) if item.get("value", "").startswith("/")}
            for path in sorted(wanted - set(files)):
                yield f"{name}: file '{path}' is in no volume"
            writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            if configured["spill.dir"] not in writable:
                yield f"{name}: spill.dir '{configured['spill.dir']}' cannot be written to"


def resources_are_bounded(objects: list[dict]) -> Iterator[str]:
    for name, template in workloads(objects):
        pod = template["spec"]
        scratch = [volume for volume in pod["volumes"] if "emptyDir" in volume]
        sizes = {volume["name"]: volume["emptyDir"].get("sizeLimit") for volume in scratch}
        for volume in [volume for volume, limit in sizes.items() if limit is None]:
            yield f"{name}: volume '{volume}' has no sizeLimit"
        for container in containers(pod):
            requests, limits = (container.get("resources", {}).get(kind, {}) for kind in ("requests", "limits"))
            if limits.get("memory") != MEMORY_LIMIT:
                yield f"{name}: memory limit {limits.get('memory')} is not {MEMORY_LIMIT}"
            if "cpu" in limits:
                yield f"{name}: a CPU limit throttles queries"
            if missing := {"cpu", "memory", "ephemeral-storage"} - set(requests):
                yield f"{name}: no request for {', '.join(sorted(missing))}"
            disk = sum(quantity(limit) for limit in sizes.values() if limit)
            if quantity(limits.get("ephemeral-storage", "0")) <= disk:
                yield f"{name}: the limit of ephemeral-storage is no larger than its volumes together"
            configured = manifests.settings(mounted_files(objects, pod, container)["/etc/meesh/meesh.yaml"])
            if manifests.size(configured["spill.limit"]) >= quantity(sizes.get("spill") or "0"):
                yield f"{name}: a spill within spill.limit would have the pod evicted"


def shutdown_fits_the_grace_period(objects: list[dict]) -> Iterator[str]:
    for name, template in workloads(objects):
        pod = template["spec"]
        for container in containers(pod):
            files = mounted_files(objects, pod, container)
            configured = manifests.properties(files["/etc/meesh/config.properties"])
            drain = int(configured["shutdown.grace-period"].removesuffix("s"))
            sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            if sleep < 2:
                yield f"{name}: no preStop sleep, clients would meet a draining server"
            if sleep + drain >= pod.get("terminationGracePeriodSeconds", 30):
                yield f"{name}: killed before it has drained ({sleep} s + {drain} s)"


def a_node_can_be_drained(objects: list[dict]) -> Iterator[str]:
    for name, template in workloads(objects):
        if not any(matches(budget["spec"]["selector"], template["metadata"]["labels"])
                   for budget in of_kind(objects, "PodDisruptionBudget")):
            yield f"{name}: no PodDisruptionBudget"
    for item in of_kind(objects, "PodDisruptionBudget"):
        if not item["spec"].get("maxUnavailable") or item["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield f"PodDisruptionBudget {item['metadata']['name']} can block the drain of a node"
    for item in of_kind(objects, "Deployment"):
        update = item["spec"].get("strategy", {}).get("rollingUpdate", {})
        if update.get("maxUnavailable") != 0:
            yield f"Deployment {item['metadata']['name']} is down during an update"


def images_are_pinned(objects: list[dict]) -> Iterator[str]:
    for name, template in workloads(objects):
        for container in containers(template["spec"]):
            image = container["image"]
            tag = image.rpartition("/")[2].partition(":")[2]
            if "@sha256:" not in image and (not tag or tag == "latest"):
                yield f"{name}: image '{image}' can change under its name"
            if "/" not in image:
                yield f"{name}: image '{image}' names no registry and would come from docker.io"


def ports_stay_inside(objects: list[dict]) -> Iterator[str]:
    for item in of_kind(objects, "Service"):
        name, spec = f"Service {item['metadata']['name']}", item["spec"]
        if spec.get("type", "ClusterIP") != "ClusterIP" or spec.get("externalIPs"):
            yield f"{name} is open to the outside of the cluster"
        for port in spec["ports"]:
            if "appProtocol" not in port:
                yield f"{name}: port '{port['name']}' has no appProtocol"
            if port["targetPort"] == "admin" and spec.get("clusterIP") != "None":
                yield f"{name} gives the admin port an address"


def no_secret_is_written_down(objects: list[dict]) -> Iterator[str]:
    """ConfigMaps and environments hold references, and there is no Secret. For everything but throw-away overlays."""
    for item in of_kind(objects, "Secret"):
        yield f"Secret {item['metadata']['name']} is among the objects"
    for item in of_kind(objects, "ConfigMap"):
        for file, content in manifests.files_of(item).items():
            if file.endswith(".properties"):
                for key, value in manifests.properties(content).items():
                    if SECRET_NAME.search(key) and not re.fullmatch(r"\$\{(ENV|FILE):[^}]+\}", value):
                        yield f"ConfigMap {item['metadata']['name']}: key '{key}' of {file} is no reference"
    for name, template in workloads(objects):
        for container in containers(template["spec"]):
            for variable in container.get("env", []):
                if SECRET_NAME.search(variable["name"]) and "value" in variable:
                    yield f"{name}: variable '{variable['name']}' holds its value"


ON_THE_WHOLE: tuple[Rule, ...] = (
    pod_is_restricted,
    namespace_enforces_the_profile,
    api_is_out_of_reach,
    probes_meet_real_endpoints,
    selectors_find_a_pod,
    references_exist,
    files_are_mounted,
    resources_are_bounded,
    shutdown_fits_the_grace_period,
    a_node_can_be_drained,
    images_are_pinned,
    ports_stay_inside,
)
ON_THE_BASE: tuple[Rule, ...] = (no_secret_is_written_down,)
