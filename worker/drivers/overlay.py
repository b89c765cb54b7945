"""Overlay networks: one network across several hosts, carried by VXLAN between them (RFC 7348).

A host that has a container on the network has a bridge with a VXLAN device as one of its ports: one for each subnet, which is a segment
of its own. All are ports of one bridge, and a container has a route to the other subnets on its link, so that it reaches those who are
there without a router: its frames go by the segment of whoever they are for. Who is where is compiled from the
database, as everything else: for each container on another host a forwarding entry (its MAC, that host) and the neighbours that
the device answers ARP and ND with. So nothing is flooded between hosts, nothing is learned from what arrives, and no control plane is
needed. The bridge has no address: containers reach the outside by their host's gateway network, as with Docker.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from networks.cnm.addresses import AnyAddress, AnyNetwork
from networks.cnm.desired import Endpoint, HostSettings, Network, RemoteEndpoint
from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.names import bridge_device, veth_device, vxlan_device
from networks.cnm.options import IFNAME, sysctl_of
from networks.cnm.resources import Bridge, ForwardingEntry, Neighbour, Owner, Resource, Route, Vxlan
from networks.cnm.text import Text, gettext_noop
from networks.cnm.underlay import encrypted_room, underlay_of
from worker.firewall.forwarding import compile_spanning_rules

from .base import Attachment, Driver, Surroundings, lacks, names_of
from .bridge import plug_in
from .encryption import compile_encryption

DEFAULT_ROOM = 1450
"""The MTU where nothing is known of what carries the network: 1500, less VXLAN's headers over IPv4."""

_ASKING = {"retrans_time_ms": "20", "mcast_solicit": "150"}
"""A time that every kernel's clock has as a whole number of ticks (100, 250, 300 or 1,000 a second): else it is read as another."""
_BRIDGE = gettext_noop("The switch that this host's containers on network {network} are plugged into.")
_VXLAN = gettext_noop("Carries network {network} to the other hosts that have containers on it, as segment {vni}.")
_ON_LINK = gettext_noop("Subnet {subnet} is network {network}'s, too: who is there is on the same link.")
_FORWARDING = gettext_noop("Container {container} of network {network} runs on host {host}: its frames go there.")
_NEIGHBOUR = gettext_noop(
    "Answers who has {address}: container {container} of network {network} on host {host}. So nobody need be asked there."
)


class OverlayDriver(Driver):
    """Docker's ``overlay`` driver, without a swarm."""

    name = "overlay"
    description = gettext_noop("One network across several hosts, carried by VXLAN.")
    scope = "global"
    leads_out = False
    hands_over = True
    one_subnet = False
    options = frozenset({"mtu", "iface_prefix", "vnis", "encrypted"})

    def availability(self, facts: HostFacts) -> Unsupported | None:
        return lacks(facts, "link.vxlan", "driver")

    def check(self, network: Network, facts: HostFacts) -> None:
        super().check(network, facts)
        if network.options.encrypted and (lacking := lacks(facts, _esp(facts), "options.encrypted")):
            raise lacking

    def endpoint_device(self, endpoint_id: str) -> str:
        return veth_device(endpoint_id)

    def device(self, network: Network, around: Surroundings) -> str:
        return bridge_device(network.id)

    def compile_network(self, network: Network, around: Surroundings) -> Iterator[Resource]:
        """Nothing on a host that has no live container there."""
        if network.id not in around.occupied:
            return
        device, mtu = self.device(network, around), _mtu(network, around)
        owner = Owner(kind="network", id=network.id, name=network.name)
        underlay = underlay_of(around.settings, around.facts)
        yield Bridge(name=device, mtu=mtu, owner=owner, why=Text.of(_BRIDGE, network=network.name))
        for vni in dict.fromkeys((network.vni, *(item.vni or network.vni for item in network.subnets))):
            yield Vxlan(
                name=vxlan_device(vni),
                vni=vni,
                port=around.settings.encrypted_port if network.options.encrypted else around.settings.vxlan_port,
                bridge=device,
                local=underlay.address if underlay else None,
                mtu=mtu,
                owner=owner,
                why=Text.of(_VXLAN, network=network.name, vni=vni),
            )
        if network.options.encrypted:
            yield from compile_encryption(network, owner, around)
        for remote in around.remotes.get(network.id, ()):
            yield from _way_to(remote, network, owner, around)
        for family, writer in around.writers.items():
            if any(item.subnet.version == family for item in network.subnets):
                yield from compile_spanning_rules(network, device, around.settings, writer)

    def compile_endpoint(self, attachment: Attachment, around: Surroundings) -> Iterator[Resource]:
        network, device = attachment.network, self.device(attachment.network, around)
        yield from plug_in(attachment, device, _mtu(network, around), around, _soon(attachment))
        if not attachment.container.of_docker:  # an engine is told, and writes them itself
            yield from self._ways_to_other_subnets(attachment)

    def on_link(self, network: Network, endpoint: Endpoint) -> tuple[AnyNetwork, ...]:
        """The network's other subnets: who has an address there is on the same link."""
        return tuple(
            item.subnet
            for own in (endpoint.ipv4, endpoint.ipv6)
            for item in network.subnets
            if own is not None and item.subnet.version == own.version and own.ip not in item.subnet
        )

    def _ways_to_other_subnets(self, attachment: Attachment) -> Iterator[Resource]:
        network, endpoint = attachment.network, attachment.endpoint
        name = f"{attachment.container.name} on {network.name}"
        for subnet in self.on_link(network, endpoint):
            yield Route(
                sandbox=attachment.sandbox,
                destination=subnet,
                gateway=None,
                device=endpoint.ifname,
                owner=Owner(kind="endpoint", id=endpoint.id, name=name),
                why=Text.of(_ON_LINK, network=network.name, subnet=subnet),
            )


def _esp(facts: HostFacts) -> str:
    """The feature that carries what is encrypted, by the version of the address that other hosts reach this one by."""
    underlay = underlay_of(HostSettings(), facts)
    return "esp6" if underlay is not None and underlay.address.version == 6 else "esp"


def _segment(network: Network, addresses: Collection[AnyAddress]) -> int:
    """The segment of whoever has *addresses*: that of its subnet, if it has one of its own."""
    of_own = (item.vni for item in network.subnets if item.vni and any(one in item.subnet for one in addresses))
    return next(of_own, network.vni)


def _soon(attachment: Attachment) -> dict[str, str]:
    """Who asks for a neighbour a moment before this host knows it asks again after a fiftieth of a second, and as long as ever (three
    seconds). By the kernel's own settings it would ask after a whole one, and a new container would be that late."""
    ifname, endpoint = attachment.endpoint.ifname, attachment.endpoint
    families = [family for family, address in (("ipv4", endpoint.ipv4), ("ipv6", endpoint.ipv6)) if address is not None]
    return {
        sysctl_of(f"net.{family}.neigh.{IFNAME}.{name}", ifname): value
        for family in families
        for name, value in _ASKING.items()
    }


def _mtu(network: Network, around: Surroundings) -> int:
    if network.options.mtu:
        return network.options.mtu
    underlay = underlay_of(around.settings, around.facts)
    room = underlay.room if underlay else DEFAULT_ROOM
    room = min(room, around.host.underlay_room or room)
    return encrypted_room(room) if network.options.encrypted else room


def _way_to(remote: RemoteEndpoint, network: Network, owner: Owner, around: Surroundings) -> Iterator[Resource]:
    said = {"container": remote.names[0], "network": network.name, "host": remote.host}
    device = vxlan_device(_segment(network, remote.addresses))
    yield ForwardingEntry(
        device=device, mac=remote.mac, remote=remote.underlay, owner=owner, why=Text.of(_FORWARDING, **said)
    )
    for address in remote.addresses:
        yield Neighbour(
            device=device,
            address=address,
            mac=remote.mac,
            owner=owner,
            why=Text.of(_NEIGHBOUR, address=address, **said),
        )
    yield from names_of(remote, network, owner, around)
