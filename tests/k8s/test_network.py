"""The flow matrix: who reaches whom on which port. What is not listed must be refused."""

import copy
import itertools

import manifests
import pytest
from network import Endpoint, allowed

MEESH = Endpoint("meesh", "meesh", {"app.kubernetes.io/name": "meesh"}, {"flight": 32010, "admin": 9090})
DATABASE = {"app.kubernetes.io/component": "database"}
OTHERS = [
    Endpoint("notebook", "jupyterhub", {"component": "singleuser-server"}),
    Endpoint("hub", "jupyterhub", {"component": "hub"}),
    Endpoint("grafana", "monitoring", {"app.kubernetes.io/name": "grafana"}),
    Endpoint("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"}),
    Endpoint("dbt", "dbt", {"app.kubernetes.io/name": "dbt"}),
    Endpoint("datahub", "datahub", {"app.kubernetes.io/name": "datahub"}),
    Endpoint("sales database", "sales-domain", DATABASE),
    Endpoint("marketing database", "marketing-domain", DATABASE),
    Endpoint("sales service", "sales-domain", {"app.kubernetes.io/component": "api"}),
    Endpoint("other database", "other-domain", DATABASE),
    Endpoint("object store", "object-store", {"app.kubernetes.io/component": "object-store"}),
    Endpoint("dns", "kube-system", {"k8s-app": "kube-dns"}),
    Endpoint("api server", "kube-system", {"component": "kube-apiserver"}),
    Endpoint("impostor", "default", {"component": "singleuser-server", "app.kubernetes.io/name": "grafana"} | DATABASE),
    Endpoint("neighbour", "meesh", {"app.kubernetes.io/name": "other"}),
    Endpoint("metadata service 169.254.169.254", None),
    Endpoint("internet", None),
]
PORTS = [(number, "TCP") for number in (22, 53, 80, 443, 5432, 6443, 8080, 9000, 9090, 32010)] + [(53, "UDP")]

ALLOWED = {
    ("notebook", "meesh", 32010, "TCP"),
    ("grafana", "meesh", 32010, "TCP"),
    ("dbt", "meesh", 32010, "TCP"),
    ("datahub", "meesh", 32010, "TCP"),
    ("prometheus", "meesh", 9090, "TCP"),
    ("meesh", "sales database", 5432, "TCP"),
    ("meesh", "marketing database", 5432, "TCP"),
    ("meesh", "object store", 9000, "TCP"),
    ("meesh", "dns", 53, "TCP"),
    ("meesh", "dns", 53, "UDP"),
}


def flows(objects: list[dict]) -> set[tuple[str, str, int, str]]:
    pairs = [pair for other in OTHERS for pair in ((other, MEESH), (MEESH, other))]
    return {
        (source.name, target.name, port, protocol)
        for (source, target), (port, protocol) in itertools.product(pairs, PORTS)
        if allowed(objects, source, target, port, protocol)
    }


def test_the_flows_are_those_listed(overlay):
    assert flows(overlay) == ALLOWED


@pytest.mark.parametrize("rule", ["ingress", "egress"])
def test_an_open_rule_is_noticed(rule, dev):
    objects = copy.deepcopy(dev)
    manifests.one(objects, "NetworkPolicy", "meesh")["spec"][rule].append({})
    assert flows(objects) > ALLOWED


def test_an_unknown_pod_of_the_namespace_reaches_nobody(dev):
    neighbour = next(other for other in OTHERS if other.name == "neighbour")
    reached = [other.name for other in [*OTHERS, MEESH] for port, protocol in PORTS
               if allowed(dev, neighbour, other, port, protocol)]
    assert reached == []
