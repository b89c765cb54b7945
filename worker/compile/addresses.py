"""Addresses that an IPAM plugin gives, whatever driver makes the network: the ranges it keeps, and what each endpoint has of them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface

from networks.cnm.desired import Network, Subnet
from networks.cnm.plugin_resources import AddressLease, AddressPool
from networks.cnm.resources import Owner, Resource
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Attachment, Surroundings

_POOL = gettext_noop("Network {network} has its IPv{version} addresses from plugin {plugin}.")
_LEASE = gettext_noop("The IPv{version} address of container {container} in network {network}, by plugin {plugin}.")


def compile_pools(network: Network, around: Surroundings) -> Iterator[Resource]:
    """The ranges that *network* has of its IPAM plugin: each that was asked for, and one of the plugin's choice where none was. On a host
    that has others keep its books, and containers on it, the ranges that these have: the same range is the same pool."""
    if not network.ipam.plugin or not (network.kept_here or network.id in around.occupied):
        return
    for version in (4, 6) if network.wants_ipv6 else (4,):
        here = [subnet for subnet in network.subnets if subnet.subnet.version == version]
        asked = [subnet for subnet in here if not subnet.chosen]
        for subnet in asked or here or ((None,) if network.kept_here else ()):
            yield _pool(network, version, subnet)


def _pool(network: Network, version: int, subnet: Subnet | None) -> AddressPool:
    known = str(subnet.subnet) if subnet is not None else ""
    chosen = subnet is None or (subnet.chosen and network.kept_here)
    said = {"network": network.name, "version": version, "plugin": network.ipam.plugin}
    return AddressPool(
        plugin=network.ipam.plugin,
        network_id=network.id,
        version=str(version),
        asked="" if chosen else known,
        former=known if chosen else "",
        sub_pool=str(subnet.ip_range or "") if subnet is not None else "",
        gateway=str(subnet.gateway or "") if subnet is not None else "",
        reserved=tuple((name, str(address)) for name, address in subnet.reserved) if subnet is not None else (),
        options=network.ipam.options,
        scope=network.scope,
        shared=not network.kept_here,
        owner=Owner(kind="network", id=network.id, name=network.name),
        why=Text.of(_POOL, **said),
    )


def compile_leases(attachment: Attachment) -> Iterator[Resource]:
    """The address of each family that a live container's endpoint has of its network's IPAM plugin."""
    endpoint, network, container = attachment.endpoint, attachment.network, attachment.container
    if not network.ipam.plugin:
        return
    present: tuple[tuple[int, str, IPv4Interface | IPv6Interface | None], ...] = (
        (4, endpoint.wanted[0], endpoint.ipv4),
        (6, endpoint.wanted[1], endpoint.ipv6),
    )
    for version, wanted, now in present:
        if any(subnet.subnet.version == version for subnet in network.subnets):
            said = {"network": network.name, "container": container.name, "plugin": network.ipam.plugin}
            yield AddressLease(
                plugin=network.ipam.plugin,
                network_id=network.id,
                endpoint_id=endpoint.id,
                version=str(version),
                asked=wanted,
                former=str(now.ip) if now is not None else "",
                mac=endpoint.mac,
                owner=Owner(kind="endpoint", id=endpoint.id, name=f"{container.name} on {network.name}"),
                why=Text.of(_LEASE, version=version, **said),
            )
