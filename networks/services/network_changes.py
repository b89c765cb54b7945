"""Changing a network while it is there: what is free, what needs the kernel, and what cannot be changed, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network

from networks import feed, peers
from networks.cnm.errors import Conflict, Forbidden, NotFound
from networks.cnm.options import option_name
from networks.cnm.text import gettext_noop
from networks.host_ports import binding_of, ports_taken
from networks.load import load_facts, network_value
from networks.models import Container, Network, PublishedPort
from networks.models.network import GLOBAL
from worker.drivers import is_plugin

from . import ipam
from .actor import Actor, require
from .new_network import check_driver, check_features, subnets_for
from .operations import check_alive, enqueue, record
from .outcome import Outcome
from .ports import check_free
from .second_look import with_second_look
from .spec_network import NetworkChanges, NetworkRequest, SubnetRequest, check_network

FIXED_OPTIONS: Mapping[str, str] = {
    "bridge_name": gettext_noop(
        "The device {device} would have to be made anew, with everything that is plugged into it."
    ),
    "parent": gettext_noop("The devices in its containers would have to be made anew, on another one than {device}."),
    "ipvlan_mode": gettext_noop("All that stands on a device has one mode, and its containers' ways outside go by it."),
    "ipvlan_flag": gettext_noop("All that stands on a device has one flag."),
    "encrypted": gettext_noop(
        "Its hosts would not change at one moment: what one sends in the clear, another refuses."
    ),
    "vnis": gettext_noop(
        "Its hosts would not change at one moment: what one sends on a segment, another does not hear."
    ),
    "default_bridge": gettext_noop("Which network is the default bridge is settled when it is made."),
}
"""Options that a network keeps for life, each with the reason."""


@with_second_look
def update_network(actor: Actor, network: Network, changes: NetworkChanges) -> Outcome:
    """Change a network in place: its containers go on running. Labels are free; the rest is real when the operation is done."""
    require(actor, "operator")
    with feed.transaction(actor.name):
        # Of one look in the transaction; and the caller's own row is changed by no refusal.
        row = Network.objects.select_related("host").filter(pk=network.pk).exclude(status="removing").first()
        if row is None:
            raise NotFound(
                gettext_noop("Network {name} is being removed."),
                remedy=gettext_noop("Make a new one."),
                subject=f"network {network.name}",
                name=network.name,
            )
        before = network_value(row)
        wanted = _merged(row, changes)
        _check_changeable(row, wanted)
        _check_addressing(row, wanted, changes)
        check_network(wanted)
        row.labels, row.attachable, row.options = dict(wanted.labels), wanted.attachable, dict(wanted.options)
        row.internal, row.enable_ipv6 = wanted.internal, wanted.enable_ipv6
        row.save(update_fields=["labels", "attachable", "options", "internal", "enable_ipv6"])
        if changes.subnets is not None or changes.enable_ipv6 is not None:
            _replace_subnets(row, wanted)
        operation = None
        if network_value(row) != before:
            check_alive(actor, row.host)
            check_features(row.host, wanted)
            check_driver(row, network_value(row))
            _check_ports(row)
            operation = enqueue(actor, row.host, "network.update", row, networks=[row])
            if row.scope == GLOBAL:
                peers.tell_others(row.host, [row.pk], changed=True)
        feed.put("network", row)
        for container in _on(row):
            feed.put("container", container)
        record(actor, "network.update", row, changes.given(), operation)
    return Outcome(row, operation)


def _merged(network: Network, changes: NetworkChanges) -> NetworkRequest:
    """The network as a request for what it would be."""
    options = dict(network.options)
    for key, value in (changes.options or {}).items():
        if value is None:
            options.pop(key, None)
        else:
            options[key] = value
    present = NetworkRequest(
        name=network.name,
        driver=network.driver,
        internal=network.internal,
        attachable=network.attachable,
        enable_ipv6=network.enable_ipv6,
        subnets=_subnets(network),
        options=options,
        ipam_driver=network.ipam_driver,
        ipam_options=network.ipam_options,
        labels=network.labels,
    )
    given = {name: value for name, value in changes.given().items() if name != "options"}
    wanted = replace(present, **given)
    if changes.enable_ipv6 is False and changes.subnets is None:
        wanted = replace(wanted, subnets=tuple(s for s in wanted.subnets if s.subnet.version == 4))
    return wanted


def _subnets(network: Network) -> tuple[SubnetRequest, ...]:
    return tuple(
        SubnetRequest(
            subnet=ip_network(row.cidr),
            gateway=ip_address(row.gateway) if row.gateway else None,
            ip_range=ip_network(row.ip_range) if row.ip_range else None,
            aux_addresses={name: ip_address(address) for name, address in row.reserved.items()},
        )
        for row in network.subnets.all()
    )


def _check_changeable(network: Network, wanted: NetworkRequest) -> None:
    present = network_value(network).options
    changed = [
        (key, option_name(key))
        for key in {**network.options, **wanted.options}
        if network.options.get(key) != wanted.options.get(key)
    ]
    differs = changed or (wanted.internal, wanted.enable_ipv6) != (network.internal, network.enable_ipv6)
    if is_plugin(network.driver) or network.ipam_driver != "default":
        _check_told(network, wanted)
    if differs and network.predefined:
        raise Forbidden(
            gettext_noop("{name} is a predefined network: only its labels can be changed here."),
            remedy=gettext_noop(
                "The default bridge follows the settings CNM_BIP, CNM_MTU, CNM_ICC and so on, at the next start."
            ),
            subject=f"network {network.name}",
            field=f"options.{changed[0][0]}" if changed else "internal",
            name=network.name,
        )
    for key, name in changed:
        if name in FIXED_OPTIONS and getattr(wanted.typed_options, name) != getattr(present, name):
            raise Forbidden(
                FIXED_OPTIONS[name],
                remedy=gettext_noop("Make another network with it, and connect the containers to that."),
                field=f"options.{key}",
                device=present.bridge_name or present.parent or network.short_id,
            )


def _check_told(network: Network, wanted: NetworkRequest) -> None:
    """What a plugin was told of a network it is told once: its protocol has no word for a change."""
    told = {
        "enable_ipv6": wanted.enable_ipv6 != network.enable_ipv6,
        "subnets": wanted.subnets != _subnets(network),
    }
    if is_plugin(network.driver):
        told |= {"options": wanted.options != network.options, "internal": wanted.internal != network.internal}
    for field, differs in told.items():
        if differs:
            raise Forbidden(
                gettext_noop("A plugin was told of network {name} when it was made: {what} stays as it is."),
                remedy=gettext_noop("Make another network, and connect the containers to that."),
                field=field,
                what=field,
                subject=f"network {network.name}",
                name=network.name,
            )


def _check_addressing(network: Network, wanted: NetworkRequest, changes: NetworkChanges) -> None:
    """Subnets and address families change only while nobody has an address of them."""
    same = wanted.enable_ipv6 == network.enable_ipv6 and wanted.subnets == _subnets(network)
    users = [container for container in _on(network) if container.wanted != "removed"]
    if not same and users:
        raise Conflict(
            gettext_noop("Network {name} keeps its subnets while containers are on it: {containers}."),
            remedy=gettext_noop("Disconnect or remove these containers first, or make another network."),
            field="subnets" if changes.subnets is not None else "enable_ipv6",
            subject=f"network {network.name}",
            name=network.name,
            containers=ipam.names_of(users),
        )


def _replace_subnets(network: Network, wanted: NetworkRequest) -> None:
    pooled = set(network.subnets.filter(from_pool=True).values_list("cidr", flat=True))
    network.subnets.all().delete()
    network.leases.all().delete()
    subnets = subnets_for(network.host, wanted)
    vnis = ipam.segments_of(network, subnets, wanted.typed_options.vnis or (network.vni or 0,))
    for number, (subnet, vni) in enumerate(zip(subnets, vnis, strict=True)):
        if subnet in wanted.subnets:
            ipam.check_overlap_with_others(network.host, network, subnet.subnet, f"subnets.{number}.subnet")
        from_pool = subnet not in wanted.subnets or str(subnet.subnet) in pooled
        ipam.add_subnet(network, subnet, from_pool=from_pool, vni=vni)


def _check_ports(network: Network) -> None:
    """A network's default address is where ports without one are published: nobody may hold them there."""
    facts = load_facts(network.host)
    for container in _on(network):
        if container.wanted != "running":
            continue
        taken, default = ports_taken(network.host, container), binding_of(container)
        for port in PublishedPort.objects.filter(container=container, host_address="", removing=False).exclude(
            host_port=0
        ):
            check_free(port, default, taken, facts, port.host_port)


def _on(network: Network) -> list[Container]:
    return list(Container.objects.filter(endpoints__network=network, endpoints__removing=False).distinct())
