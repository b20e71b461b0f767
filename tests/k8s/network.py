"""What NetworkPolicies let through.

Computed as https://kubernetes.io/docs/concepts/services-networking/network-policies/ says.
"""

from dataclasses import dataclass, field

from manifests import matches, of_kind


@dataclass(frozen=True)
class Endpoint:
    """A pod, or with `namespace` None an address outside the cluster (no policy here names addresses)."""

    name: str
    namespace: str | None
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    ports: dict[str, int] = field(default_factory=dict, hash=False)


def allowed(objects: list[dict], source: Endpoint, target: Endpoint, port: int, protocol: str) -> bool:
    """Both ends must agree; an end that no policy selects refuses nothing."""
    return side_allows(objects, "Egress", source, target, target, port, protocol) and side_allows(
        objects, "Ingress", target, source, target, port, protocol)


def side_allows(objects, direction: str, own: Endpoint, other: Endpoint, target: Endpoint, port, protocol) -> bool:
    selecting = [
        policy["spec"] for policy in of_kind(objects, "NetworkPolicy")
        if own.namespace == policy["metadata"]["namespace"] and matches(policy["spec"]["podSelector"], own.labels)
        and direction in policy["spec"]["policyTypes"]
    ]
    if not selecting:
        return True
    peers, rules = ("to", "egress") if direction == "Egress" else ("from", "ingress")
    return any(
        (peers not in rule or any(peer_matches(peer, own.namespace, other) for peer in rule[peers]))
        and ("ports" not in rule or any(port_matches(entry, target, port, protocol) for entry in rule["ports"]))
        for spec in selecting for rule in spec.get(rules, [])
    )


def peer_matches(peer: dict, own_namespace: str, other: Endpoint) -> bool:
    assert set(peer) <= {"namespaceSelector", "podSelector"}, peer
    if other.namespace is None:
        return False
    if "namespaceSelector" in peer:
        namespace_fits = matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
    else:
        namespace_fits = other.namespace == own_namespace
    return namespace_fits and matches(peer.get("podSelector", {}), other.labels)


def port_matches(entry: dict, target: Endpoint, port: int, protocol: str) -> bool:
    wanted = entry.get("port")
    wanted = target.ports.get(wanted) if isinstance(wanted, str) else wanted
    return entry.get("protocol", "TCP") == protocol and wanted in (None, port)
