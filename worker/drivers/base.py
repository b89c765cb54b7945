"""What a network driver is, and what it is told about the host around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from networks.cnm.desired import Container, Endpoint, Host, HostSettings, Network
from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.names import Naming
from networks.cnm.resources import Owner, Resource
from worker.firewall.words import Writer


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
    def has_ipv6(self) -> bool:
        """Whether the kernel speaks IPv6 at all; one that nobody has looked at does."""
        feature = self.facts.feature("ipv6")
        return feature is None or feature.present

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

    def availability(self, facts: HostFacts) -> Unsupported | None:
        """None where the driver can be used, else the reason why not, with the remedy."""
        return None

    def check(self, network: Network, facts: HostFacts) -> None:
        """Raises :class:`Unsupported` when *network* cannot be made on a host of these facts."""
        if (reason := self.availability(facts)) is not None:
            raise reason

    def device(self, network: Network, around: Surroundings) -> str:
        """The host's device of *network*; empty when the driver makes none."""
        return ""

    def compile_network(self, network: Network, around: Surroundings) -> Iterator[Resource]:
        """What *network* needs by itself, whether or not anything is attached."""
        yield from ()

    def compile_endpoint(self, attachment: Attachment, around: Surroundings) -> Iterator[Resource]:
        """What attaches a live container to a network, and what lets traffic reach it."""
        yield from ()
