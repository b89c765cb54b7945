"""Macvlan networks: containers that stand in the host's own LAN, each with a MAC of its own on a device of the host.

No rule of ours sees their frames: the kernel gives them to the wire below the host's own network stack. So there is nothing to
translate and nothing to publish, and the host itself cannot speak with them by the parent (Linux, ``drivers/net/macvlan.c``).
"""

from __future__ import annotations

from collections.abc import Iterator

from networks.cnm.desired import Network
from networks.cnm.errors import InvalidSpec, NotFound, Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.options import sysctl_of
from networks.cnm.resources import Address, Macvlan, Owner, Resource
from networks.cnm.text import Text, gettext_noop

from .base import Attachment, Driver, Surroundings, lacks, mac_of

PARENT = "options.parent"

_DEVICE = gettext_noop("Puts {ifname} of container {container} on the wire of {parent}, for network {network}.")
_ADDRESS = gettext_noop("The address of container {container} in network {network}.")


class MacvlanDriver(Driver):
    """Docker's ``macvlan`` driver, in its modes bridge and private."""

    name = "macvlan"
    description = gettext_noop("Containers with addresses of the host's own LAN, on a device of the host.")
    joins_lan = True
    options = frozenset({"parent", "macvlan_mode", "mtu", "iface_prefix"})

    def availability(self, facts: HostFacts) -> Unsupported | None:
        return lacks(facts, "link.macvlan", "driver")

    def check(self, network: Network, facts: HostFacts) -> None:
        super().check(network, facts)
        parent = network.options.parent
        if not parent:
            raise InvalidSpec(
                gettext_noop("A macvlan network stands on a device of the host, and none is named."),
                remedy=gettext_noop("Give the option parent: one of {known}."),
                field=PARENT,
                known=_known(facts),
            )
        mtu = facts.mtu_of(parent)
        if not mtu and facts.version:
            raise _no_parent(parent, facts)
        if facts.version and network.options.mtu > mtu:
            raise InvalidSpec(
                gettext_noop("The MTU {mtu} is more than that of {parent}, {most}."),
                remedy=gettext_noop("Give at most {most}, or leave it out to have the parent's."),
                field="options.com.docker.network.driver.mtu",
                mtu=network.options.mtu,
                parent=parent,
                most=mtu,
            )

    def compile_endpoint(self, attachment: Attachment, around: Surroundings) -> Iterator[Resource]:
        endpoint, network, container = attachment.endpoint, attachment.network, attachment.container
        options = network.options
        owner = Owner(kind="endpoint", id=endpoint.id, name=f"{container.name} on {network.name}")
        of_parent = around.facts.mtu_of(options.parent)  # no macvlan has more: the kernel lowers it with its parent's
        said = {"container": container.name, "network": network.name, "ifname": endpoint.ifname}
        yield Macvlan(
            sandbox=attachment.sandbox,
            ifname=endpoint.ifname,
            parent=options.parent,
            mode=options.macvlan_mode,
            mac=mac_of(endpoint),
            mtu=min(filter(None, (options.mtu, of_parent)), default=around.facts.default_mtu),
            sysctls=tuple((sysctl_of(name, endpoint.ifname), value) for name, value in endpoint.sysctls),
            owner=owner,
            why=Text.of(_DEVICE, parent=options.parent, **said),
        )
        why = Text.of(_ADDRESS, **said)
        for address in (endpoint.ipv4, endpoint.ipv6):
            if address is not None:
                yield Address(sandbox=attachment.sandbox, device=endpoint.ifname, address=address, owner=owner, why=why)


def _no_parent(parent: str, facts: HostFacts) -> NotFound | Unsupported:
    base, dot, number = parent.rpartition(".")
    vlan = facts.feature("link.vlan")
    if dot and number.isdigit() and facts.mtu_of(base) and vlan is not None and vlan.present is False:
        return Unsupported(
            gettext_noop("{parent} would be a VLAN sub-interface of {base}, and this host cannot make one: {detail}"),
            remedy=vlan.remedy,
            field=PARENT,
            parent=parent,
            base=base,
            detail=vlan.detail,
        )
    return NotFound(
        gettext_noop("The host has no device {parent} that a network could stand on."),
        remedy=gettext_noop(
            "Give one of {known}; a port of a bridge, a macvlan, and a device without Ethernet frames cannot be one."
        ),
        field=PARENT,
        parent=parent,
        known=_known(facts),
    )


def _known(facts: HostFacts) -> str:
    return ", ".join(name for name, _ in facts.devices) or "(none)"
