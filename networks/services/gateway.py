"""The gateway network: how containers on networks that span hosts reach the outside, and are reached by published ports.

A network that spans hosts leads to its own members and nowhere else. So whoever is on one that is not internal is on the gateway network
of its host, too: an ordinary bridge network on which nobody reaches anybody (Docker's ``docker_gwbridge``). It is made when it is
first needed; one of that name that a person made before is taken as it is.
"""

from __future__ import annotations

from networks import feed
from networks.load import is_live, load_settings
from networks.models import Container, Host, Network
from networks.models.network import GLOBAL
from networks.settle import rests

from . import ipam
from .actor import Actor
from .endpoints import add_endpoint, check_usable, give_addresses
from .fresh import know_parts
from .new_network import add_network
from .operations import enqueue
from .spec_container import AttachRequest
from .spec_network import NetworkRequest

PRIORITY = -1000
"""Any other network that leads outside is the way that is taken."""


def settle_gateway(actor: Actor, container: Container) -> None:
    """Put *container* on its host's gateway network, or take it off, as the networks that it is on by now ask for."""
    endpoints = [row for row in container.endpoints.all() if not row.removing]
    name = load_settings(container.host).naming.gateway_network
    there = next((row for row in endpoints if row.network.name == name), None)
    needed = any(row.network.scope == GLOBAL and not row.network.internal for row in endpoints)
    if needed and there is None:
        network = _network(actor, container.host, name)
        there = add_endpoint(
            container, network, AttachRequest(network=name, gw_priority=PRIORITY), starts=is_live(container)
        )
        if is_live(container):
            give_addresses(there)
        if "endpoints" in getattr(container, "_prefetched_objects_cache", {}):
            know_parts(container, endpoints=[*endpoints, there])
        feed.put("network", network)
    elif there is not None and not needed:
        if rests(container):
            ipam.release_addresses([there])
            there.delete()
        else:
            there.removing = True
            there.save(update_fields=["removing"])
        feed.put("network", there.network)


def _network(actor: Actor, host: Host, name: str) -> Network:
    """The gateway network, made by an operation of its own, before that of the container, if there is none."""
    network = Network.objects.filter(host=host, name=name).first()
    if network is not None:
        check_usable(network)
        return network
    bridge = "com.docker.network.bridge."
    options = {f"{bridge}name": name, f"{bridge}enable_icc": "false"}
    network = add_network(actor, host, NetworkRequest(name=name, options=options))
    enqueue(actor, host, "network.create", network, networks=[network])
    return network
