"""Use cases of networks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from networks import feed
from networks.cnm.errors import Conflict, Forbidden, NotFound
from networks.cnm.facts import HostFacts
from networks.cnm.text import gettext_noop
from networks.composed import composed, update
from networks.load import is_live, load_facts
from networks.models import Container, Host, Network
from networks.models.choices import NetworkStatus
from networks.models.network import GLOBAL
from networks.settle import rests
from worker.drivers import driver as find_driver

from . import ipam
from .actor import Actor, require
from .default_bridge import ensure_default_bridge
from .endpoints import add_endpoint, check_usable, give_addresses
from .fresh import check_not_dockers, check_not_removed, refresh
from .gateway import may_be_needed, settle_gateway
from .new_network import add_network
from .operations import check_alive, enqueue, next_activation, record
from .outcome import Outcome
from .second_look import with_second_look
from .spec_container import SHARED_MODES, AttachRequest
from .spec_network import NetworkRequest

DRIVER_NAMES = {"none": "null"}


@with_second_look
def create_network(actor: Actor, host: Host, request: NetworkRequest) -> Outcome:
    """Make a network; it is real when the operation is done."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        network = add_network(actor, host, request)
        operation = enqueue(actor, host, "network.create", network, networks=[network])
        record(actor, "network.create", network, asdict(request), operation)
    return Outcome(network, operation)


def delete_network(actor: Actor, network: Network) -> Outcome:
    """Take a network away; refused while containers are on it."""
    require(actor, "operator")
    check_alive(actor, network.host)
    with feed.transaction(actor.name):
        refresh(network)
        check_deletable(network)
        prepare_deletion(network)
        operation = enqueue(actor, network.host, "network.delete", network, networks=[network])
        record(actor, "network.delete", network, {}, operation)
    return Outcome(network, operation)


_ever_on = composed(lambda network: Container.objects.filter(endpoints__network=network).distinct().only("name"))
_attached = composed(
    lambda network: (
        Container.objects.filter(endpoints__network=network, endpoints__removing=False).distinct().only("name")
    )
)


def check_deletable(network: Network, without: Collection[str] = ()) -> None:
    """Raises when *network* is to stay, or when containers are on it other than those *without* which it is to be judged (ids)."""
    if network.predefined:
        raise Forbidden(
            gettext_noop("{name} is a predefined network and cannot be removed."),
            remedy=gettext_noop("Leave it; without containers on it, it is no burden."),
            subject=f"network {network.name}",
            name=network.name,
        )
    # Where it spans hosts, its end is taken after theirs; another host may not be through with theirs.
    on_it = (_ever_on if network.scope == GLOBAL else _attached)(network.pk)
    attached = [container for container in on_it if container.pk not in without]
    if attached:
        raise Conflict(
            gettext_noop("Network {name} has active endpoints: {containers}."),
            remedy=gettext_noop("Disconnect or remove these containers first."),
            subject=f"network {network.name}",
            name=network.name,
            containers=ipam.names_of(attached),
        )


def prepare_deletion(network: Network) -> None:
    """Have a network go for good."""
    network.removing, network.status = True, NetworkStatus.REMOVING
    update(network, "removing", "status")
    feed.put("network", network)


def connect(actor: Actor, network: Network, container: Container, attach: AttachRequest) -> Outcome:
    """Attach *container* to *network*, at once when it runs."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(network, container)
        check_usable(network)
        _check_connectable(network, container)
        live = is_live(container)
        endpoint = add_endpoint(container, network, attach, starts=live)
        if may_be_needed(container, network):
            settle_gateway(actor, container)
        operation = None
        if live:
            give_addresses(endpoint)
            operation = enqueue(actor, container.host, "network.connect", container, containers=[container])
        feed.put("container", container)
        feed.put("network", network)
        record(actor, "network.connect", container, {"network": network.name, **_said(attach)}, operation)
    return Outcome(endpoint, operation)


def disconnect(actor: Actor, network: Network, container: Container, force: bool = False) -> Outcome:
    """Detach *container* from *network*."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_dockers(container)
        endpoint = container.endpoints.filter(network=network, removing=False).first()
        if container.network_mode == network.name and container.network_mode in SHARED_MODES:
            raise Conflict(
                gettext_noop(
                    "Container {container} cannot be disconnected from network {network}: it has it for life."
                ),
                remedy=gettext_noop("Make the container anew on another network."),
                container=container.name,
                network=network.name,
            )
        if endpoint is None:
            raise NotFound(
                gettext_noop("Container {container} is not on network {network}."),
                remedy=gettext_noop("See its endpoints for the networks that it is on."),
                container=container.name,
                network=network.name,
            )
        operation = None
        resting = rests(container)
        if resting:
            ipam.release_addresses([endpoint])
            endpoint.delete()
        else:
            endpoint.removing = True
            endpoint.save(update_fields=["removing"])
        if may_be_needed(container, network):
            settle_gateway(actor, container)
        if not resting:
            operation = enqueue(actor, container.host, "network.disconnect", container, containers=[container])
        feed.put("container", container)
        feed.put("network", network)
        record(actor, "network.disconnect", container, {"network": network.name, "force": force}, operation)
    return Outcome(container, operation)


def ensure_defaults(host: Host, facts: HostFacts | None = None) -> None:
    """Make the three predefined networks, or bring the default bridge to what the environment now says. Changes no kernel.

    *facts*: what the host is like now; without them, what its worker last stored.
    """
    with feed.transaction("bootstrap"):
        ensure_default_bridge(host, facts or load_facts(host))
        for name, driver in (("host", "host"), ("none", "null")):
            if not Network.objects.filter(host=host, name=name).exists():
                row = Network.objects.create(
                    host=host,
                    name=name,
                    driver=driver,
                    predefined=True,
                    activation=next_activation(host),
                    status="ready",
                )
                feed.put("network", row)


def _check_connectable(network: Network, container: Container) -> None:
    check_not_removed(container)
    check_not_dockers(container)
    attaches = find_driver(network.driver).attaches
    if container.network_mode in SHARED_MODES or container.shares_id or not attaches:
        raise Conflict(
            gettext_noop(
                "Container {container} cannot be connected to network {network}: {mode} excludes other networks."
            ),
            remedy=gettext_noop("Run the container on a bridge network instead."),
            container=container.name,
            network=network.name,
            mode=container.network_mode if attaches else network.name,
        )


def _said(attach: AttachRequest) -> dict[str, Any]:
    return {name: value for name, value in asdict(attach).items() if value and name != "network"}
