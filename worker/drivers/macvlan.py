"""Macvlan networks: containers that stand in the host's own LAN, each with a MAC of its own on a device of the host.

No rule of ours sees their frames: the kernel gives them to the wire below the host's own network stack. So there is nothing to
translate and nothing to publish, and the host itself cannot speak with them by the parent (Linux, ``drivers/net/macvlan.c``).
"""

from __future__ import annotations

from collections.abc import Iterator

from networks.cnm.desired import Network
from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.options import sysctl_of
from networks.cnm.resources import Address, Macvlan, Owner, Resource
from networks.cnm.text import Text, gettext_noop

from .base import Attachment, Driver, Surroundings, lacks, mac_of
from .parents import check_parent, compile_parent, mtu_of_parent

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
        check_parent(network, facts)

    def compile_network(self, network: Network, around: Surroundings) -> Iterator[Resource]:
        yield from compile_parent(network, around)

    def compile_endpoint(self, attachment: Attachment, around: Surroundings) -> Iterator[Resource]:
        endpoint, network, container = attachment.endpoint, attachment.network, attachment.container
        options = network.options
        owner = Owner(kind="endpoint", id=endpoint.id, name=f"{container.name} on {network.name}")
        # No macvlan has more than its parent: the kernel lowers it with that's.
        of_parent = mtu_of_parent(options.parent, dict(around.facts.devices))
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
