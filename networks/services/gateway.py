"""The gateway network: how containers on networks that span hosts reach the outside, and are reached by published ports.

A network that spans hosts leads to its own members and nowhere else, and so may that of a plugin, which says so when it is joined. So
whoever is on such a one that is not internal is on the gateway network of its host, too: an ordinary bridge network on which nobody
reaches anybody (Docker's ``docker_gwbridge``). It is made when it is first needed; one of that name that a person made before is taken
as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from networks import feed
from networks.cnm.desired import Joined
from networks.load import is_live, load_settings
from networks.models import Container, Endpoint, Host, Network
from networks.models.choices import Role
from networks.models.network import GLOBAL
from networks.settle import rests
from worker.drivers import DRIVERS, driver, is_plugin

from . import ipam
from .actor import Actor
from .endpoints import add_endpoint, check_usable, give_addresses
from .fresh import know_parts
from .new_network import add_network
from .operations import enqueue
from .spec_container import AttachRequest
from .spec_network import NetworkRequest

WORKER = Actor(name="worker", role=Role.OPERATOR, via="worker", queue_anyway=True)
PRIORITY = -1000
"""Any other network that leads outside is the way that is taken."""


def settle_gateway(actor: Actor, container: Container) -> None:
    """Put *container* on its host's gateway network, or take it off, as the networks that it is on by now ask for."""
    endpoints = [row for row in container.endpoints.all() if not row.removing]
    name = load_settings(container.host).naming.gateway_network
    there = next((row for row in endpoints if row.network.name == name), None)
    needed = _is_needed([row for row in endpoints if row is not there])
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


def may_be_needed(container: Container, network: Network) -> bool:
    """Whether what *container* has to do with *network* can make a difference: it spans hosts, or a plugin makes it or another one that
    the container is on."""
    if network.scope == GLOBAL or is_plugin(network.driver):
        return True
    return container.endpoints.exclude(network__driver__in=DRIVERS).exists()


def settle_joined(containers: Iterable[str]) -> set[str]:
    """The same for *containers* (ids) whose plugins answered, inside the transaction that notes so: the gateway networks (ids) that they
    are on now. By the worker: what it observed is what this follows from."""
    rows = Container.objects.filter(pk__in=list(containers)).select_related("host")
    for container in rows:
        settle_gateway(WORKER, container)
    name = {load_settings(container.host).naming.gateway_network for container in rows}
    ways = Endpoint.objects.filter(container__in=rows, removing=False, network__name__in=name)
    return set(ways.order_by().values_list("network_id", flat=True))


def _is_needed(endpoints: Iterable[Endpoint]) -> bool:
    """By networks that span hosts always; by a plugin's where neither that nor another network leads outside, as in Docker."""
    outward = [row for row in endpoints if not row.network.internal]
    if any(row.network.scope == GLOBAL and not is_plugin(row.network.driver) for row in outward):
        return True
    joined = [Joined.from_json(row.joined) for row in outward if is_plugin(row.network.driver) and row.joined]
    if all(item.leads or item.closed for item in joined):
        return False
    own = [driver(row.network.driver) for row in outward if not is_plugin(row.network.driver)]
    return not any(item.leads for item in joined) and not any(item.leads_out for item in own)


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
