"""Networks in the host's own LAN: each endpoint is a device in its sandbox that stands on a device of the host.

No rule of ours sees their frames: the kernel gives them to the wire below the host's own network stack. So there is nothing to
translate and nothing to publish, and the host itself cannot speak with them by the parent (Linux, ``drivers/net/macvlan.c`` and
``drivers/net/ipvlan``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from networks.cnm.desired import Network
from networks.cnm.errors import Conflict
from networks.cnm.facts import HostFacts
from networks.cnm.options import sysctl_of
from networks.cnm.resources import Address, OnParent, Owner, Resource
from networks.cnm.text import Text, gettext_noop

from .base import Attachment, Driver, Surroundings
from .parents import PARENT, check_parent, compile_parent, mtu_of_parent

_DEVICE = gettext_noop("Puts {ifname} of container {container} on the wire of {parent}, for network {network}.")
_ADDRESS = gettext_noop("The address of container {container} in network {network}.")


class LanDriver(Driver):
    """What ``macvlan`` and ``ipvlan`` have in common."""

    joins_lan = True

    def check(self, network: Network, facts: HostFacts) -> None:
        super().check(network, facts)
        check_parent(network, facts)

    def check_beside(self, network: Network, other: Network) -> None:
        parent = network.options.parent
        if parent == other.options.parent and network.driver != other.driver:
            raise Conflict(
                gettext_noop(
                    "Network {other} of the driver {driver} stands on {parent}, which carries one of the two drivers."
                ),
                remedy=gettext_noop("Choose the driver {driver}, another device, or a VLAN of it."),
                field=PARENT,
                other=other.name,
                driver=other.driver,
                parent=parent,
            )

    def compile_network(self, network: Network, around: Surroundings) -> Iterator[Resource]:
        yield from compile_parent(network, around)

    def compile_endpoint(self, attachment: Attachment, around: Surroundings) -> Iterator[Resource]:
        endpoint, network, container = attachment.endpoint, attachment.network, attachment.container
        options = network.options
        owner = Owner(kind="endpoint", id=endpoint.id, name=f"{container.name} on {network.name}")
        # None has more than its parent: the kernel lowers it with that's.
        of_parent = mtu_of_parent(options.parent, dict(around.facts.devices))
        said = {"container": container.name, "network": network.name, "ifname": endpoint.ifname}
        yield self.on_parent(
            attachment,
            sandbox=attachment.sandbox,
            ifname=endpoint.ifname,
            parent=options.parent,
            mtu=min(filter(None, (options.mtu, of_parent)), default=around.facts.default_mtu),
            sysctls=tuple((sysctl_of(name, endpoint.ifname), value) for name, value in endpoint.sysctls),
            owner=owner,
            why=Text.of(_DEVICE, parent=options.parent, **said),
        )
        why = Text.of(_ADDRESS, **said)
        for address in (endpoint.ipv4, endpoint.ipv6):
            if address is not None:
                yield Address(sandbox=attachment.sandbox, device=endpoint.ifname, address=address, owner=owner, why=why)

    @abstractmethod
    def on_parent(self, attachment: Attachment, **common: Any) -> OnParent:
        """The device of *attachment*; *common* is what it has whatever its kind."""
