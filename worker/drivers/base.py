"""What a network driver is, and what it is told about the host around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from typing import ClassVar

from networks.cnm.addresses import AnyAddress, AnyInterface, AnyNetwork
from networks.cnm.desired import Association, Container, Endpoint, Host, HostSettings, Network, RemoteEndpoint
from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.names import Naming, mac_from_ipv4
from networks.cnm.options import NetworkOptions, read_options
from networks.cnm.resources import NameRecord, Owner, Resource
from networks.cnm.text import Text, gettext_noop
from worker.firewall.words import Writer

EVERYWHERE: Mapping[int, AnyNetwork] = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
"""Where a default route leads, by address family."""

_RECORD = gettext_noop("How the others on network {network} find container {container}, which runs on host {host}.")


@dataclass(frozen=True)
class Surroundings:
    """One host's desired state with the look-ups that compiling it needs, each made once."""

    host: Host
    facts: HostFacts

    @property
    def settings(self) -> HostSettings:
        return self.host.settings

    @cached_property
    def naming(self) -> Naming:
        return self.host.settings.naming

    @cached_property
    def owner(self) -> Owner:
        return Owner(kind="host", id=self.host.id, name=self.facts.hostname)

    @cached_property
    def networks(self) -> Mapping[str, Network]:
        return {network.id: network for network in sorted(self.host.networks, key=lambda n: (n.activation, n.id))}

    @cached_property
    def containers(self) -> Mapping[str, Container]:
        return {
            container.id: container for container in sorted(self.host.containers, key=lambda c: (c.activation, c.id))
        }

    @cached_property
    def live(self) -> tuple[Container, ...]:
        """The containers that should exist now, in the order in which they were started."""
        return tuple(container for container in self.containers.values() if container.live)

    @cached_property
    def occupied(self) -> frozenset[str]:
        """The ids of the networks that live containers of this host are on."""
        return frozenset(endpoint.network_id for container in self.live for endpoint in container.endpoints)

    @cached_property
    def remotes(self) -> Mapping[str, tuple[RemoteEndpoint, ...]]:
        """The endpoints on other hosts by network id, sorted."""
        found: dict[str, list[RemoteEndpoint]] = {}
        for remote in sorted(self.host.remotes, key=lambda item: item.id):
            found.setdefault(remote.network_id, []).append(remote)
        return {network_id: tuple(items) for network_id, items in found.items()}

    @cached_property
    def associations(self) -> Mapping[tuple[str, str], tuple[Association, ...]]:
        """What this host encrypts and decrypts by, by (sender, receiver), oldest first."""
        found: dict[tuple[str, str], list[Association]] = {}
        for one in sorted(self.host.associations, key=lambda item: item.id):
            found.setdefault((one.sender, one.receiver), []).append(one)
        return {pair: tuple(items) for pair, items in found.items()}

    @cached_property
    def encrypted_peers(self) -> Mapping[str, Mapping[str, AnyAddress]]:
        """The networks here that are encrypted, by id, each with the hosts (name -> underlay address) that it is the first to share."""
        found: dict[str, dict[str, AnyAddress]] = {}
        known: set[str] = set()
        for network in self.networks.values():
            if network.options.encrypted and network.id in self.occupied:
                peers = {remote.host: remote.underlay for remote in self.remotes.get(network.id, ())}
                found[network.id] = {host: peers[host] for host in sorted(peers.keys() - known)}
                known |= peers.keys()
        return found

    @cached_property
    def has_ipv6(self) -> bool:
        """Whether the kernel speaks IPv6 at all; one that nobody has looked at does."""
        feature = self.facts.feature("ipv6")
        return feature is None or feature.present is not False

    @cached_property
    def writers(self) -> Mapping[int, Writer]:
        """Who writes rules, by address family. Docker 20.10 writes none for IPv6, and so does its naming."""
        if not self.settings.iptables:
            return {}
        families = (4,) if self.naming.key == "docker" or not self.has_ipv6 else (4, 6)
        return {family: Writer(family, self.naming) for family in families}


@dataclass(frozen=True, slots=True)
class Attachment:
    """An endpoint of a live container with everything that it belongs to."""

    endpoint: Endpoint
    network: Network
    container: Container
    sandbox: str
    leads_out: frozenset[int]
    """The address families in which it is the container's way outside: its ports are published here."""


class Driver:
    """One kind of network: what it adds to the resources of a host, and nothing else.

    A driver is pure: it sees the desired state and the facts, and gives resources. It never asks what is there already. Everything
    it gives carries the network, endpoint, port or link that needs it as its owner, and a reason. Adding a driver is one module
    with one subclass, and its line in the registry.
    """

    name: ClassVar[str]
    description: ClassVar[str] = ""
    """One sentence for the page on which a driver is chosen, marked for translation."""
    attaches: ClassVar[bool] = True
    """Whether an endpoint of its networks is a link in a sandbox."""
    scope: ClassVar[str] = "local"
    """``local``: its networks are each on one host; ``global``: they span hosts."""
    leads_out: ClassVar[bool] = True
    """Whether a container may reach the outside through its networks."""
    publishes: ClassVar[bool] = False
    """Whether a port of a container can be published at the host by one of its networks."""
    one_subnet: ClassVar[bool] = True
    """Whether a network has at most one subnet of each address family."""
    hands_over: ClassVar[bool] = False
    """Whether a Docker Engine's containers can be on its networks: by a link whose other end the engine takes."""
    joins_lan: ClassVar[bool] = False
    """Whether its subnets are those of the host's own LAN: they may be the host's, whose addresses nobody else gets then."""
    own_mac: ClassVar[bool] = True
    """Whether an endpoint may have a MAC of its own."""
    options: ClassVar[frozenset[str]] = frozenset()
    """The options that its networks take: fields of :class:`networks.cnm.options.NetworkOptions`."""
    any_options: ClassVar[bool] = False
    """Whether they take options that only somebody else understands."""

    def availability(self, facts: HostFacts) -> Unsupported | None:
        """None where the driver can be used, else the reason why not, with the remedy."""
        return None

    def check(self, network: Network, facts: HostFacts) -> None:
        """Raises a CnmError when *network* cannot be made on a host of these facts; :class:`NotFound` where the host lacks what it
        names, for the facts may be older than that.
        """
        if (reason := self.availability(facts)) is not None:
            raise reason

    def check_beside(self, network: Network, other: Network) -> None:
        """Raises a :class:`Conflict` when *network* cannot be on a host on which there is *other* of a driver that ``joins_lan``, too."""

    def read_options(self, options: Mapping[str, str]) -> NetworkOptions:
        """What *options* mean to it. Raises InvalidSpec naming ``options.<key>``."""
        return read_options(options)

    def leads(self, endpoint: Endpoint) -> bool:
        """Whether *endpoint* may be its container's way outside."""
        return self.leads_out

    def device(self, network: Network, around: Surroundings) -> str:
        """The host's device of *network*; empty when the driver makes none."""
        return ""

    def endpoint_device(self, endpoint_id: str) -> str:
        """The host's end of an endpoint; empty where the host has none."""
        return ""

    def gateway(self, network: Network, endpoint: Endpoint, interface: AnyInterface) -> AnyAddress | None:
        """Whom a container with the address *interface* of *endpoint* sends what is for the outside; None: the driver sees to that
        itself."""
        isolated = network.options.gateway_mode_ipv4 if interface.version == 4 else network.options.gateway_mode_ipv6
        if isolated == "isolated":
            return None
        here = (item for item in network.subnets if item.subnet.version == interface.version)
        return next((item.gateway for item in here if item.gateway is not None and interface.ip in item.subnet), None)

    def on_link(self, network: Network, endpoint: Endpoint) -> tuple[AnyNetwork, ...]:
        """What *endpoint* reaches without a gateway, beside the subnets that its own addresses are of."""
        return ()

    def compile_network(self, network: Network, around: Surroundings) -> Iterator[Resource]:
        """What *network* needs by itself, whether or not anything is attached.

        It follows from the network, the settings and the facts (and of one that spans hosts, from what is known of the others): until
        they change it is not asked for again.
        """
        yield from ()

    def compile_endpoint(self, attachment: Attachment, around: Surroundings) -> Iterator[Resource]:
        """What attaches a live container to a network, and what lets traffic reach it."""
        yield from ()


def mac_of(endpoint: Endpoint) -> str:
    """The endpoint's own MAC, or one that follows from its address, or from its id where it has none."""
    if endpoint.mac:
        return endpoint.mac
    if endpoint.ipv4 is not None:
        return mac_from_ipv4(endpoint.ipv4.ip)
    digits = endpoint.id[:8]
    return "02:42:" + ":".join(digits[at : at + 2] for at in range(0, 8, 2))


def lacks(facts: HostFacts, key: str, field: str) -> Unsupported | None:
    """The refusal where the host was seen to lack the feature *key*; what nobody has looked for may be there."""
    feature = facts.feature(key)
    if feature is None or feature.present is not False:
        return None
    return Unsupported("{reason}", remedy=feature.remedy, field=field, reason=feature.detail)


def names_of(remote: RemoteEndpoint, network: Network, owner: Owner, around: Surroundings) -> Iterator[Resource]:
    """The names of a container that is on *network* on another host."""
    if not around.settings.embedded_dns:
        return
    yield NameRecord(
        network_id=network.id,
        endpoint_id=remote.id,
        network_name=network.name,
        container_id=remote.container_id,
        names=remote.names,
        addresses=remote.addresses,
        ports=remote.ports,
        owner=owner,
        why=Text.of(_RECORD, container=remote.names[0], network=network.name, host=remote.host),
    )
