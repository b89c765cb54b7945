"""The part of a host that an operation may change, as keys of resources. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from networks.cnm.desired import Host
from networks.cnm.resources import EtcFile, Key, Owner, Resource

WHOLE_KINDS = frozenset({"rule", "chain"})
"""Kinds that are always compared whole: their order is one thing."""
PEER_KINDS = frozenset({"forwarding", "neighbour", "name", "xfrm-state", "xfrm-policy"})
"""What a host knows of other hosts and their containers; all of it belongs to the network."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Networks and containers by id, what is known of other hosts (*peers*: networks by id), or (``everything``) the whole
    host."""

    networks: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()
    peers: frozenset[str] = frozenset()
    everything: bool = False

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Scope:
        return cls(
            networks=frozenset(value.get("networks", ())),
            containers=frozenset(value.get("containers", ())),
            peers=frozenset(value.get("peers", ())),
            everything=bool(value.get("all", False)),
        )

    def keys(self, kept: Host, resources: Iterable[Resource]) -> set[Key]:
        """The keys of *resources* that the scope covers.

        *kept* is the host as if nothing were being removed: it tells whose endpoints, ports and links are in the scope.
        The hosts file of whoever may name a container belongs to it, and so does a network that spans hosts, which is on a host for the
        sake of that host's containers; and to a network belongs what is plugged into it, for it is
        as its network is: all of its containers but their processes, which no network starts or ends.
        """
        parents = _parents(kept)
        naming = _naming(kept, self.containers)
        plugged = {c.id for c in kept.containers for e in c.endpoints if e.network_id in self.networks}
        spanning = _spanning(kept, self.containers | plugged)

        def covered(resource: Resource) -> bool:
            owner = resource.owner
            if owner.kind == "host":
                return True
            if owner.kind == "network":
                known = owner.id in self.peers and resource.kind in PEER_KINDS
                return known or owner.id in self.networks or owner.id in spanning
            container = owner.id if owner.kind == "container" else parents.get((owner.kind, owner.id), "")
            if container in self.containers or (
                container in naming and isinstance(resource, EtcFile) and resource.name == "hosts"
            ):
                return True
            return container in plugged and resource.kind != "process"

        return {resource.key for resource in resources if resource.kind not in WHOLE_KINDS and covered(resource)}


def party(kept: Host) -> Callable[[Owner], str]:
    """Tells for an owner the id of the network or container that it is or belongs to."""
    parents = _parents(kept)
    return lambda owner: parents.get((owner.kind, owner.id), owner.id)


def _parents(host: Host) -> dict[tuple[str, str], str]:
    """(kind, id) of an endpoint, port or link -> the container that it belongs to."""
    result = {}
    for container in host.containers:
        for kind, children in (("endpoint", container.endpoints), ("port", container.ports), ("link", container.links)):
            for child in children:
                result[kind, child.id] = container.id
    return result


def _spanning(host: Host, containers: frozenset[str]) -> set[str]:
    """The networks of *containers* that span hosts."""
    spanning = {network.id for network in host.networks if network.spans}
    if not spanning:
        return spanning
    return spanning & {e.network_id for c in host.containers if c.id in containers for e in c.endpoints}


def _naming(host: Host, containers: frozenset[str]) -> set[str]:
    """Those whose hosts files may name one of *containers*: who is linked to it, and, while no DNS server knows them, who is on
    a network with it. A restart on a network of a thousand reads no other thousand files."""
    networks: set[str] = set()
    if not host.settings.embedded_dns:
        networks = {e.network_id for c in host.containers if c.id in containers for e in c.endpoints}
    return {
        container.id
        for container in host.containers
        if any(link.source_id in containers for link in container.links)
        or any(endpoint.network_id in networks for endpoint in container.endpoints)
    }
