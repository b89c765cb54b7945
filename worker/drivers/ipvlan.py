"""Ipvlan networks: containers in the host's own LAN with the MAC of the host's device, or routed by it.

In mode ``l2`` an endpoint asks the wire itself who has an address, and the gateway is a machine there. In ``l3`` and ``l3s`` nobody asks:
the host's own routes lead out what is for elsewhere, the LAN's routers have to know that the network is behind the host, and a
container's default route is its device (Linux, Documentation/networking/ipvlan.rst; libnetwork, ``drivers/ipvlan``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from networks.cnm.addresses import AnyAddress, AnyInterface
from networks.cnm.desired import Endpoint, Network
from networks.cnm.errors import Conflict, Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.resources import Ipvlan, Owner, Resource, Route
from networks.cnm.text import Text, gettext_noop

from .base import EVERYWHERE, Attachment, Surroundings, lacks
from .lan import LanDriver

L2 = "l2"

_WAY_OUT = gettext_noop(
    "Container {container} hands what is for elsewhere to the routes of the host, by network {network}."
)


class IpvlanDriver(LanDriver):
    """Docker's ``ipvlan`` driver."""

    name = "ipvlan"
    description = gettext_noop("Containers with addresses of the host's own LAN, and its MAC.")
    own_mac = False
    options = frozenset({"parent", "ipvlan_mode", "ipvlan_flag", "mtu", "iface_prefix"})

    def availability(self, facts: HostFacts) -> Unsupported | None:
        return lacks(facts, "link.ipvlan", "driver")

    def check_beside(self, network: Network, other: Network) -> None:
        super().check_beside(network, other)
        own, there = network.options, other.options
        if own.parent != there.parent:
            return
        for field in ("ipvlan_mode", "ipvlan_flag"):
            if getattr(own, field) != getattr(there, field):
                raise Conflict(
                    gettext_noop(
                        "Network {other} stands on {parent} with {option} {value}, which a device has one of for all on it."
                    ),
                    remedy=gettext_noop("Give {option} {value}, or another device, or a VLAN of it."),
                    field=f"options.{field}",
                    other=other.name,
                    parent=own.parent,
                    option=field,
                    value=getattr(there, field),
                )

    def gateway(self, network: Network, endpoint: Endpoint, interface: AnyInterface) -> AnyAddress | None:
        return super().gateway(network, endpoint, interface) if network.options.ipvlan_mode == L2 else None

    def compile_endpoint(self, attachment: Attachment, around: Surroundings) -> Iterator[Resource]:
        yield from super().compile_endpoint(attachment, around)
        endpoint, network, container = attachment.endpoint, attachment.network, attachment.container
        if network.options.ipvlan_mode == L2 or network.internal:
            return
        for family in sorted(attachment.leads_out):
            yield Route(
                sandbox=attachment.sandbox,
                destination=EVERYWHERE[family],
                gateway=None,
                device=endpoint.ifname,
                owner=Owner(kind="endpoint", id=endpoint.id, name=f"{container.name} on {network.name}"),
                why=Text.of(_WAY_OUT, container=container.name, network=network.name),
            )

    def on_parent(self, attachment: Attachment, **common: Any) -> Ipvlan:
        options = attachment.network.options
        return Ipvlan(mode=options.ipvlan_mode, flag=options.ipvlan_flag, **common)
