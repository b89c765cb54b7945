"""Use cases of networks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from ipaddress import ip_interface
from typing import Any

from django.db import IntegrityError

from networks import feed
from networks.cnm.errors import Conflict, Forbidden, NotFound, Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.names import PREDEFINED_NETWORKS
from networks.cnm.options import ENDPOINT_IFNAME, read_endpoint_options, read_options
from networks.cnm.text import gettext_noop
from networks.load import is_live, load_facts, load_settings, network_value
from networks.models import Container, Endpoint, Host, Network
from networks.models.choices import NetworkStatus
from networks.represent import BRIDGE_NAME, bridge_of
from networks.settle import rests
from worker.drivers import driver as find_driver

from . import ipam
from .actor import Actor, require
from .default_bridge import ensure_default_bridge
from .features import require_feature
from .fresh import check_not_removed, refresh
from .operations import check_alive, enqueue, next_activation, record
from .outcome import Outcome
from .second_look import with_second_look
from .spec_container import AttachRequest
from .spec_network import NetworkRequest, SubnetRequest

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


def add_network(actor: Actor, host: Host, request: NetworkRequest) -> Network:
    """The row of a new network, checked against everything else, without an operation (for bulk use)."""
    _check_name(host, request.name)
    chosen = find_driver(request.driver)
    network = Network(
        host=host,
        name=request.name,
        driver=request.driver,
        internal=request.internal,
        attachable=request.attachable,
        enable_ipv6=request.enable_ipv6,
        options=dict(request.options),
        labels=dict(request.labels),
        activation=next_activation(host),
        created_by=actor.name,
    )
    _check_bridge_name(host, network)
    check_features(host, request)
    try:
        network.save(force_insert=True)
    except IntegrityError:
        raise _name_taken(request.name) from None
    subnets = []
    for number, subnet in enumerate(subnets_for(host, request)):
        if subnet in request.subnets:
            ipam.check_overlap_with_others(host, network, subnet.subnet, f"subnets.{number}.subnet")
        subnets.append(ipam.add_subnet(network, subnet, from_pool=subnet not in request.subnets))
    chosen.check(network_value(network, subnets), load_facts(host))
    feed.put("network", network)
    return network


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


def check_deletable(network: Network, without: Collection[str] = ()) -> None:
    """Raises when *network* is to stay, or when containers are on it other than those *without* which it is to be judged (ids)."""
    if network.predefined:
        raise Forbidden(
            gettext_noop("{name} is a predefined network and cannot be removed."),
            remedy=gettext_noop("Leave it; without containers on it, it is no burden."),
            subject=f"network {network.name}",
            name=network.name,
        )
    on_it = Container.objects.filter(endpoints__network=network, endpoints__removing=False).distinct()
    attached = [container for container in on_it.only("id", "name") if container.pk not in without]
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
    network.save(update_fields=["removing", "status"])
    feed.put("network", network)


def connect(actor: Actor, network: Network, container: Container, attach: AttachRequest) -> Outcome:
    """Attach *container* to *network*, at once when it runs."""
    require(actor, "operator")
    check_alive(actor, network.host)
    with feed.transaction(actor.name):
        refresh(network, container)
        check_usable(network)
        _check_connectable(network, container)
        endpoint = add_endpoint(container, network, attach)
        operation = None
        if is_live(container):
            give_addresses(endpoint)
            operation = enqueue(actor, network.host, "network.connect", container, containers=[container])
        feed.put("container", container)
        feed.put("network", network)
        record(actor, "network.connect", container, {"network": network.name, **_said(attach)}, operation)
    return Outcome(endpoint, operation)


def disconnect(actor: Actor, network: Network, container: Container, force: bool = False) -> Outcome:
    """Detach *container* from *network*."""
    require(actor, "operator")
    check_alive(actor, network.host)
    with feed.transaction(actor.name):
        refresh(container)
        endpoint = container.endpoints.filter(network=network, removing=False).first()
        if endpoint is None:
            raise NotFound(
                gettext_noop("Container {container} is not on network {network}."),
                remedy=gettext_noop("See its endpoints for the networks that it is on."),
                container=container.name,
                network=network.name,
            )
        operation = None
        if not rests(container):
            endpoint.removing = True
            endpoint.save(update_fields=["removing"])
            operation = enqueue(actor, network.host, "network.disconnect", container, containers=[container])
        else:
            ipam.release_addresses([endpoint])
            endpoint.delete()
        feed.put("container", container)
        feed.put("network", network)
        record(actor, "network.disconnect", container, {"network": network.name, "force": force}, operation)
    return Outcome(container, operation)


def add_endpoint(container: Container, network: Network, attach: AttachRequest) -> Endpoint:
    """The row of a new attachment, without addresses yet; they are leased when the container starts."""
    present = list(container.endpoints.all())
    if any(endpoint.network_id == network.pk and not endpoint.removing for endpoint in present):
        raise Conflict(
            gettext_noop("Container {container} is on network {network} already."),
            remedy=gettext_noop("Disconnect it first to change its address or aliases."),
            container=container.name,
            network=network.name,
        )
    ipam.check_static(network, "ipv4", attach.ipv4)
    ipam.check_static(network, "ipv6", attach.ipv6)
    if attach.aliases and network.predefined:
        raise Unsupported(
            gettext_noop("Network-scoped aliases are supported on user-defined networks only."),
            remedy=gettext_noop("Leave the aliases out, or use a network of your own."),
            field="aliases",
        )
    options = read_endpoint_options(attach.driver_opts)
    taken = {endpoint.position for endpoint in present}
    return Endpoint.objects.create(
        container=container,
        network=network,
        position=next(n for n in range(len(taken) + 1) if n not in taken),
        ifname=_ifname(network, options.ifname, {endpoint.ifname for endpoint in present}),
        sysctls=dict(options.sysctls),
        wanted_ipv4=str(attach.ipv4 or ""),
        wanted_ipv6=str(attach.ipv6 or ""),
        wanted_mac=attach.mac,
        aliases=list(attach.aliases),
        gw_priority=attach.gw_priority,
    )


def _ifname(network: Network, asked: str, taken: set[str]) -> str:
    """The interface's name in the sandbox: the one *asked* for, else the network's prefix and the first free number."""
    if asked in taken:
        raise Conflict(
            gettext_noop("The container has an interface {name} already."),
            remedy=gettext_noop("Choose another name."),
            field=f"driver_opts.{ENDPOINT_IFNAME}",
            name=asked,
        )
    prefix = read_options(network.options).iface_prefix
    return asked or next(name for n in range(len(taken) + 1) if (name := f"{prefix}{n}") not in taken)


def give_addresses(endpoint: Endpoint) -> None:
    """Lease addresses and settle the MAC of an endpoint whose container starts."""
    from networks.cnm.names import mac_from_ipv4, random_mac

    ipam.lease_addresses(endpoint, load_settings(endpoint.network.host).ipam_order)
    ipv4 = ip_interface(endpoint.ipv4).ip if endpoint.ipv4 else None
    endpoint.mac = endpoint.wanted_mac or (mac_from_ipv4(ipv4) if ipv4 is not None else random_mac())  # type: ignore[arg-type]
    endpoint.save(update_fields=["ipv4", "ipv6", "mac"])


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


def subnets_for(host: Host, request: NetworkRequest) -> list[SubnetRequest]:
    """The subnets asked for, and one of the pools for each family that has none."""
    if request.driver in {"host", "null"}:
        return []
    subnets = list(request.subnets)
    families = {subnet.subnet.version for subnet in subnets}
    if 4 not in families:
        subnets.insert(0, SubnetRequest(subnet=ipam.free_subnet(host, 4)))
    if request.enable_ipv6 and 6 not in families:
        subnets.append(SubnetRequest(subnet=ipam.free_subnet(host, 6)))
    return subnets


def _check_name(host: Host, name: str) -> None:
    if name in PREDEFINED_NETWORKS:
        raise Forbidden(
            gettext_noop("{name} is a predefined network and cannot be created."),
            remedy=gettext_noop("Choose another name."),
            field="name",
            name=name,
        )
    if Network.objects.filter(host=host, name=name).exists():
        raise _name_taken(name)


def _name_taken(name: str) -> Conflict:
    return Conflict(
        gettext_noop("A network with the name {name} exists already."),
        remedy=gettext_noop("Choose another name."),
        field="name",
        name=name,
    )


def _check_bridge_name(host: Host, network: Network) -> None:
    """Refuse a bridge device that is another network's. A name that follows from the network's random id is nobody's."""
    device = bridge_of(network, "") if BRIDGE_NAME in network.options else ""
    default = load_settings(host).naming.bridge
    for other in Network.objects.filter(host=host, driver="bridge") if device else ():
        if bridge_of(other, default) == device:
            raise Conflict(
                gettext_noop("The bridge {device} belongs to network {other}."),
                remedy=gettext_noop("Choose another bridge name."),
                field=f"options.{BRIDGE_NAME}",
                device=device,
                other=other.name,
            )


def check_features(host: Host, request: NetworkRequest) -> None:
    """Refuse what the host's kernel was seen to lack."""
    facts = load_facts(host)
    if request.enable_ipv6:
        require_feature(host, facts, "ipv6", "enable_ipv6")
    if request.driver == "bridge" and not request.typed_options.icc:
        require_feature(host, facts, "bridge-nf", "options")


def check_usable(network: Network) -> None:
    """Whether containers can be on *network*: it is neither going nor failed to come."""
    if network.removing:
        raise NotFound(
            gettext_noop("Network {name} is being removed."),
            remedy=gettext_noop("Choose another network."),
            field="network",
            name=network.name,
        )
    if network.withheld:
        raise Conflict(
            gettext_noop("Network {name} could not be made."),
            remedy=gettext_noop("Repair it, or remove it and make it anew."),
            field="network",
            name=network.name,
        )


def _check_connectable(network: Network, container: Container) -> None:
    check_not_removed(container)
    if container.network_mode == "host" or container.shares_id or network.driver in {"host", "null"}:
        raise Conflict(
            gettext_noop(
                "Container {container} cannot be connected to network {network}: {mode} excludes other networks."
            ),
            remedy=gettext_noop("Run the container on a bridge network instead."),
            container=container.name,
            network=network.name,
            mode=container.network_mode if network.driver not in {"host", "null"} else network.name,
        )


def _said(attach: AttachRequest) -> dict[str, Any]:
    return {name: value for name, value in asdict(attach).items() if value and name != "network"}
