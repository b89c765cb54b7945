"""The hosts file of a container, line by line, each line with its owner and its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from networks.cnm.desired import Container, Endpoint, Network
from networks.cnm.etc_text import lines_of
from networks.cnm.names import HOST_GATEWAY, short
from networks.cnm.resources import EtcFile, EtcLine, Owner
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Surroundings
from worker.drivers.bridge import is_default

from .links import addresses_of, linked_sources

STANDARD = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)
"""What Docker 20.10 writes into every file, with IPv6 and without."""

_FILE = gettext_noop(
    "The names that container {container} knows without asking anybody: its own, its links', its neighbours'."
)
_STANDARD = gettext_noop("In every container's file.")
_AS_ON_HOST = gettext_noop("As in the host's own file, for the container is on the host's network.")
_GIVEN = gettext_noop("Asked for when container {container} was made.")
_GATEWAY = gettext_noop("Asked for when container {container} was made, as host-gateway: the host itself.")
_LINK = gettext_noop("Link {alias} of container {recipient}: the address and names of container {source}.")
_OWN = gettext_noop("Container {container} itself, by its address on network {network}.")
_NEIGHBOUR = gettext_noop("Container {container} is on network {network} too.")
_ALIASED = gettext_noop("Link {alias} of container {recipient}: another name of its neighbour {source}.")


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that stand together. Their text is made once, however many files they stand in."""

    lines: tuple[EtcLine, ...]
    text: str

    @classmethod
    def of(cls, *lines: EtcLine) -> _Block:
        return cls(lines, "".join([f"{line.text}\n" for line in lines]))


class HostsFiles:
    """Writes the hosts files of a host's containers; what several of them share is made once."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self._neighbours: dict[str, _Block] = {}

    def of(self, container: Container, own_sandbox: bool) -> EtcFile:
        """``/etc/hosts``. A container without a sandbox of its own (*own_sandbox*) is on the host network."""
        blocks = tuple(self._blocks(container, own_sandbox))
        return EtcFile(
            container_id=container.id,
            name="hosts",
            content="".join([block.text for block in blocks]),
            lines=tuple([line for block in blocks for line in block.lines]),
            owner=Owner(kind="container", id=container.id, name=container.name),
            why=Text.of(_FILE, container=container.name),
        )

    def _blocks(self, container: Container, own_sandbox: bool) -> Iterator[_Block]:
        if not own_sandbox and not container.extra_hosts:
            yield self._hosts_own if self.around.facts.etc_hosts else self._standard
            return
        yield self._standard
        yield _Block.of(*self._given_lines(container))
        if not own_sandbox:
            return
        if container.links:
            yield _Block.of(*self._link_lines(container))
        yield _Block.of(*self._own_lines(container))
        if not self.around.settings.embedded_dns:
            yield from self._neighbour_blocks(container)

    @cached_property
    def _standard(self) -> _Block:
        why = Text.of(_STANDARD)
        return _Block.of(
            *(EtcLine(text=text, origin="standard", owner=self.around.owner, why=why) for text in STANDARD)
        )

    @cached_property
    def _hosts_own(self) -> _Block:
        text, why = self.around.facts.etc_hosts, Text.of(_AS_ON_HOST)
        lines = [EtcLine(text=line, origin="host", owner=self.around.owner, why=why) for line in lines_of(text)]
        return _Block(tuple(lines), text)

    def _given_lines(self, container: Container) -> Iterator[EtcLine]:
        owner = Owner(kind="container", id=container.id, name=container.name)
        for name, given in container.extra_hosts:
            reason = _GATEWAY if given == HOST_GATEWAY else _GIVEN
            for address in self._host_gateways if given == HOST_GATEWAY else (given,):
                why = Text.of(reason, container=container.name)
                yield EtcLine(text=f"{address}\t{name}", origin="given", owner=owner, why=why)

    @cached_property
    def _host_gateways(self) -> tuple[str, ...]:
        """What ``host-gateway`` stands for: the host's own addresses on the default bridge, as in Docker."""
        default = next((network for network in self.around.networks.values() if is_default(network)), None)
        subnets = default.subnets if default is not None else ()
        return tuple(str(subnet.gateway) for subnet in subnets if subnet.gateway is not None)

    def _link_lines(self, recipient: Container) -> Iterator[EtcLine]:
        """The source's addresses, each with the alias, the source's host name and its name."""
        for link, source, endpoint in linked_sources(recipient, self.around):
            names = " ".join(dict.fromkeys((link.alias, source.hostname or short(source.id), source.name)))
            owner = Owner(kind="link", id=link.id, name=link.alias)
            why = Text.of(_LINK, alias=link.alias, recipient=recipient.name, source=source.name)
            for address in addresses_of(endpoint):
                yield EtcLine(text=f"{address}\t{names}", origin="link", owner=owner, why=why)

    def _own_lines(self, container: Container) -> Iterator[EtcLine]:
        names = _own_names(container)
        for endpoint in container.endpoints:
            network = self.around.networks[endpoint.network_id]
            why = Text.of(_OWN, container=container.name, network=network.name)
            for address in addresses_of(endpoint):
                yield EtcLine(
                    text=f"{address}\t{names}", origin="own", owner=_endpoint(container, endpoint, network), why=why
                )

    def _neighbour_blocks(self, container: Container) -> Iterator[_Block]:
        """While no DNS server answers for a user-defined network, its containers find each other here."""
        mine = [self.around.networks[endpoint.network_id] for endpoint in container.endpoints]
        own = [network for network in mine if not is_default(network)]
        for network in own:
            yield self._names_on(network)
        if container.links and own:
            yield _Block.of(*self._linked_neighbours(container, own))

    def _names_on(self, network: Network) -> _Block:
        """One block for all containers of a network, themselves included: with many of them, one each would be too many."""
        if network.id not in self._neighbours:
            self._neighbours[network.id] = _Block.of(
                *(
                    EtcLine(
                        text=f"{address}\t{' '.join(dict.fromkeys((other.name, *endpoint.aliases)))}",
                        origin="neighbour",
                        owner=_endpoint(other, endpoint, network),
                        why=Text.of(_NEIGHBOUR, container=other.name, network=network.name),
                    )
                    for other, endpoint in self._members.get(network.id, ())
                    for address in addresses_of(endpoint)
                )
            )
        return self._neighbours[network.id]

    @cached_property
    def _members(self) -> dict[str, list[tuple[Container, Endpoint]]]:
        """The live endpoints of each network, in the order in which their containers were started."""
        members: dict[str, list[tuple[Container, Endpoint]]] = {}
        for container in self.around.live:
            for endpoint in container.endpoints:
                members.setdefault(endpoint.network_id, []).append((container, endpoint))
        return members

    def _linked_neighbours(self, container: Container, networks: list[Network]) -> Iterator[EtcLine]:
        """A link on a user-defined network is another name for a neighbour."""
        for network in networks:
            members = self._members.get(network.id, ())
            for link in container.links:
                for other, endpoint in members:
                    if other.id == link.source_id:
                        owner = Owner(kind="link", id=link.id, name=link.alias)
                        why = Text.of(_ALIASED, alias=link.alias, recipient=container.name, source=other.name)
                        for address in addresses_of(endpoint):
                            yield EtcLine(text=f"{address}\t{link.alias}", origin="link", owner=owner, why=why)


def _endpoint(container: Container, endpoint: Endpoint, network: Network) -> Owner:
    return Owner(kind="endpoint", id=endpoint.id, name=f"{container.name} on {network.name}")


def _own_names(container: Container) -> str:
    """``host.domain host`` where a domain is known, else the host name alone."""
    full = container.hostname or short(container.id)
    if container.domainname:
        full = f"{full}.{container.domainname}"
    first, dot, _ = full.partition(".")
    return f"{full} {first}" if dot else full
