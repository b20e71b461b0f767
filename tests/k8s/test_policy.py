"""The manifests keep every rule of policy.py, and every rule notices the manifests that break it."""

import copy

import manifests
import policy
import pytest

POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
GONE = object()

# rule, kind and name, where, what is written there
MUTANTS = [
    (policy.pod_is_restricted, "Deployment meesh", f"{POD}.hostNetwork", True),
    (policy.pod_is_restricted, "Deployment meesh", f"{POD}.hostPID", True),
    (policy.pod_is_restricted, "Deployment meesh", f"{POD}.securityContext.runAsNonRoot", GONE),
    (policy.pod_is_restricted, "Deployment meesh", f"{POD}.securityContext.runAsUser", 0),
    (policy.pod_is_restricted, "Deployment meesh", f"{POD}.securityContext.seccompProfile.type", "Unconfined"),
    (policy.pod_is_restricted, "Deployment meesh", f"{POD}.volumes.4", {"name": "tmp", "hostPath": {"path": "/"}}),
    (policy.pod_is_restricted, "Deployment meesh", f"{CONTAINER}.securityContext.privileged", True),
    (policy.pod_is_restricted, "Deployment meesh", f"{CONTAINER}.securityContext.runAsUser", 0),
    (policy.pod_is_restricted, "Deployment meesh", f"{CONTAINER}.securityContext.allowPrivilegeEscalation", GONE),
    (policy.pod_is_restricted, "Deployment meesh", f"{CONTAINER}.securityContext.readOnlyRootFilesystem", GONE),
    (policy.pod_is_restricted, "Deployment meesh", f"{CONTAINER}.securityContext.capabilities.add", ["SYS_ADMIN"]),
    (policy.pod_is_restricted, "Deployment meesh", f"{CONTAINER}.securityContext.capabilities", GONE),
    (policy.pod_is_restricted, "Deployment meesh", f"{CONTAINER}.ports.0.hostPort", 32010),
    (policy.namespace_enforces_the_profile, "Namespace meesh", "metadata.labels", GONE),
    (policy.namespace_enforces_the_profile, "Service meesh", "metadata.namespace", "default"),
    (policy.api_is_out_of_reach, "Deployment meesh", f"{POD}.automountServiceAccountToken", GONE),
    (policy.api_is_out_of_reach, "Deployment meesh", f"{POD}.enableServiceLinks", GONE),
    (policy.probes_meet_real_endpoints, "Deployment meesh", f"{CONTAINER}.livenessProbe.httpGet.path", "/healthz"),
    (policy.probes_meet_real_endpoints, "Deployment meesh", f"{CONTAINER}.readinessProbe.httpGet.port", "flight"),
    (policy.probes_meet_real_endpoints, "Deployment meesh", f"{CONTAINER}.startupProbe", GONE),
    (policy.probes_meet_real_endpoints, "Deployment meesh", f"{CONTAINER}.ports.1.containerPort", 9091),
    (policy.selectors_find_a_pod, "Service meesh", "spec.selector", {"app": "meesh"}),
    (policy.selectors_find_a_pod, "Service meesh", "spec.ports.0.targetPort", "grpc"),
    (policy.selectors_find_a_pod, "PodDisruptionBudget meesh", "spec.selector.matchLabels", {"app": "meesh"}),
    (policy.selectors_find_a_pod, "NetworkPolicy meesh", "spec.podSelector.matchLabels", {"app": "meesh"}),
    (policy.references_exist, "Deployment meesh", f"{POD}.serviceAccountName", "other"),
    (policy.references_exist, "Deployment meesh", f"{POD}.volumes.0.configMap.name", "meesh-config"),
    (policy.references_exist, "Deployment meesh", f"{POD}.volumes.2.projected.sources.0.secret.items.0.key", "users"),
    (policy.references_exist, "Deployment meesh", f"{CONTAINER}.volumeMounts.0.name", "configuration"),
    (policy.references_exist, "Deployment meesh", f"{CONTAINER}.env",
     [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "meesh-sales", "key": "user"}}}]),
    (policy.references_exist, "Deployment meesh", f"{CONTAINER}.envFrom", [{"configMapRef": {"name": "none"}}]),
    (policy.files_are_mounted, "ConfigMap meesh-catalogs", "data", {"x.properties": "a=${FILE:/run/secrets/none}"}),
    (policy.files_are_mounted, "Deployment meesh", f"{POD}.volumes.2.projected.sources.0.secret.items.0.path", "users"),
    (policy.files_are_mounted, "Deployment meesh", f"{CONTAINER}.volumeMounts.3.readOnly", True),
    (policy.files_are_mounted, "Deployment meesh", f"{CONTAINER}.env", [{"name": "X", "value": "/run/tls.crt"}]),
    (policy.resources_are_bounded, "Deployment meesh", f"{CONTAINER}.resources.limits.memory", "1Gi"),
    (policy.resources_are_bounded, "Deployment meesh", f"{CONTAINER}.resources.limits.cpu", "1"),
    (policy.resources_are_bounded, "Deployment meesh", f"{CONTAINER}.resources.limits.ephemeral-storage", "2Gi"),
    (policy.resources_are_bounded, "Deployment meesh", f"{CONTAINER}.resources.requests", GONE),
    (policy.resources_are_bounded, "Deployment meesh", f"{POD}.volumes.3.emptyDir.sizeLimit", "1Gi"),
    (policy.resources_are_bounded, "Deployment meesh", f"{POD}.volumes.4.emptyDir", {}),
    (policy.shutdown_fits_the_grace_period, "Deployment meesh", f"{POD}.terminationGracePeriodSeconds", 115),
    (policy.shutdown_fits_the_grace_period, "Deployment meesh", f"{CONTAINER}.lifecycle", GONE),
    (policy.a_node_can_be_drained, "PodDisruptionBudget meesh", "spec.maxUnavailable", 0),
    (policy.a_node_can_be_drained, "PodDisruptionBudget meesh", "spec.unhealthyPodEvictionPolicy", GONE),
    (policy.a_node_can_be_drained, "PodDisruptionBudget meesh", "spec.selector.matchLabels", {"app": "other"}),
    (policy.a_node_can_be_drained, "Deployment meesh", "spec.strategy", GONE),
    (policy.images_are_pinned, "Deployment meesh", f"{CONTAINER}.image", "localhost/meesh:latest"),
    (policy.images_are_pinned, "Deployment meesh", f"{CONTAINER}.image", "localhost:5000/meesh"),
    (policy.images_are_pinned, "Deployment meesh", f"{CONTAINER}.image", "meesh:0.1.0"),
    (policy.ports_stay_inside, "Service meesh", "spec.type", "NodePort"),
    (policy.ports_stay_inside, "Service meesh", "spec.ports.0.appProtocol", GONE),
    (policy.ports_stay_inside, "Service meesh-admin", "spec.clusterIP", GONE),
]
SECRETS_WRITTEN_DOWN = [
    ("Deployment meesh", f"{CONTAINER}.env", [{"name": "MEESH_PASSWORD", "value": "x"}]),
    ("ConfigMap meesh-catalogs", "data", {"sales.properties": "connection-password=x"}),
    ("ConfigMap meesh-catalogs", "data", {"lake.properties": "s3.aws-secret-key=${FILE:/a}b"}),
]


@pytest.mark.parametrize("rule", policy.ON_THE_WHOLE, ids=lambda rule: rule.__name__)
def test_the_manifests_keep(rule, overlay):
    assert list(rule(overlay)) == []


@pytest.mark.parametrize("rule", policy.ON_THE_BASE, ids=lambda rule: rule.__name__)
def test_the_base_keeps(rule, base):
    assert list(rule(base)) == []


@pytest.mark.parametrize(("rule", "target", "path", "value"), MUTANTS,
                         ids=[f"{rule.__name__}-{path}-{number}" for number, (rule, _, path, _) in enumerate(MUTANTS)])
def test_notices(rule, target, path, value, dev):
    assert list(rule(mutated(dev, target, path, value))) != []


@pytest.mark.parametrize(("target", "path", "value"), SECRETS_WRITTEN_DOWN)
def test_notices_a_secret_that_is_written_down(target, path, value, base):
    assert list(policy.no_secret_is_written_down(mutated(base, target, path, value))) != []


def test_notices_a_secret_object(dev):
    assert len(list(policy.no_secret_is_written_down(dev))) == 4


def test_every_rule_has_something_to_notice():
    assert {mutant[0] for mutant in MUTANTS} == set(policy.ON_THE_WHOLE)


def mutated(objects: list[dict], target: str, path: str, value) -> list[dict]:
    objects = copy.deepcopy(objects)
    kind, name = target.split()
    *folders, last = path.split(".")
    place = manifests.one(objects, kind, name)
    for step in folders:
        place = place[int(step)] if isinstance(place, list) else place[step]
    last = int(last) if isinstance(place, list) else last
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return objects
