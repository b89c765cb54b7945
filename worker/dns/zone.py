"""What is known: the names of each network, and what each sandbox may ask. Pure.

Everything comes from the worker as JSON objects, whose forms are those of :class:`Record` and :class:`Sandbox`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from networks.cnm.addresses import AnyAddress

RecordKey = tuple[str, str]
"""(network id, endpoint id)."""
OWN_ADDRESS = IPv4Address("127.0.0.11")
MOST_SERVERS = 3
"""As Docker asks (and resolv.conf(5) holds) three servers at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One endpoint: the names that it has on its network, and its addresses there."""

    network: str
    endpoint: str
    network_name: str
    container: str
    names: tuple[str, ...]
    """In lower case; the first is the container's own."""
    addresses: tuple[AnyAddress, ...] = ()
    ports: tuple[tuple[int, str], ...] = ()
    """(port, protocol) of what the container exposes or publishes: SRV answers name them."""

    @property
    def key(self) -> RecordKey:
        return (self.network, self.endpoint)

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Record:
        """From JSON. Raises ValueError, TypeError or KeyError for what is no record."""
        return cls(
            network=_text(value["network"]),
            endpoint=_text(value["endpoint"]),
            network_name=_text(value["network_name"]).lower(),
            container=_text(value["container"]),
            names=tuple(_text(name).lower() for name in value["names"]),
            addresses=tuple(ip_address(_text(address)) for address in value["addresses"]),
            ports=tuple((int(port), _text(protocol)) for port, protocol in value["ports"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """One sandbox that is served."""

    name: str
    networks: tuple[str, ...] = ()
    """Ids of the networks that it is on, in the order in which they are searched."""
    links: tuple[tuple[str, str], ...] = ()
    """(alias, container id): names that it alone knows."""
    servers: tuple[str, ...] = ()
    """Who is asked about other names."""
    inside: bool = False
    """Whether the servers are asked from within the sandbox (a person chose them) or from the host (they are the host's own)."""
    forwards: bool = True
    """False: on internal networks alone, so nobody outside is asked."""
    keeps_single_labels: bool = False
    """Whether a name without a dot stays here: its resolv.conf was given an ``ndots`` of its own."""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Sandbox:
        """From JSON. Raises ValueError, TypeError or KeyError for what is none."""
        return cls(
            name=_text(value["sandbox"]),
            networks=tuple(map(_text, value["networks"])),
            links=tuple((_text(alias).lower(), _text(container)) for alias, container in value["links"]),
            servers=usable_servers(map(_text, value["servers"])),
            inside=value["inside"] is True,
            forwards=value["forwards"] is True,
            keeps_single_labels=value["keeps_single_labels"] is True,
        )


def usable_servers(servers: Iterable[str]) -> tuple[str, ...]:
    """Those that can be asked: addresses, each once, never our own (that would be a loop), three at most."""
    found: dict[str, None] = {}
    for server in servers:
        try:
            address = ip_address(server)
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        if (mapped or address) != OWN_ADDRESS and not address.is_unspecified and not address.is_multicast:
            found[str(address)] = None
    return tuple(found)[:MOST_SERVERS]


@dataclass(slots=True)
class _Network:
    """The records of one network, by every way to ask for them."""

    records: dict[str, Record] = field(default_factory=dict)
    by_name: dict[str, dict[str, Record]] = field(default_factory=dict)
    by_address: dict[AnyAddress, dict[str, Record]] = field(default_factory=dict)
    by_container: dict[str, dict[str, Record]] = field(default_factory=dict)

    def put(self, record: Record) -> None:
        self.drop(record.endpoint)
        self.records[record.endpoint] = record
        for index, keys in self._places(record):
            for key in keys:
                index.setdefault(key, {})[record.endpoint] = record

    def drop(self, endpoint: str) -> None:
        record = self.records.pop(endpoint, None)
        if record is None:
            return
        for index, keys in self._places(record):
            for key in keys:
                index[key].pop(endpoint, None)
                if not index[key]:
                    del index[key]

    def _places(self, record: Record) -> Iterator[tuple[dict[Any, dict[str, Record]], Iterable[Any]]]:
        names = dict.fromkeys(record.names)
        full = {f"{name}.{record.network_name}": None for name in names}
        yield self.by_name, names | full
        yield self.by_address, dict.fromkeys(record.addresses)
        yield self.by_container, (record.container,)


class Zone:
    """Everything that one host's resolver knows. ``version`` grows with each change."""

    def __init__(self) -> None:
        self.sandboxes: dict[str, Sandbox] = {}
        self.version = 0
        self._networks: dict[str, _Network] = {}

    def serve(self, sandbox: Sandbox) -> None:
        self.sandboxes[sandbox.name] = sandbox
        self.version += 1

    def stop(self, name: str) -> None:
        self.sandboxes.pop(name, None)
        self.version += 1

    def put(self, record: Record) -> None:
        self._networks.setdefault(record.network, _Network()).put(record)
        self.version += 1

    def forget(self, key: RecordKey) -> None:
        network, endpoint = key
        known = self._networks.get(network)
        if known is not None:
            known.drop(endpoint)
            if not known.records:
                del self._networks[network]
        self.version += 1

    def records(self) -> Iterator[Record]:
        for network in self._networks.values():
            yield from network.records.values()

    def find(self, sandbox: Sandbox, name: str) -> list[list[Record]]:
        """The records that *name* (lower case, no dot at its end) means to *sandbox*: one list a network, in search order.

        Empty: nobody here has that name. A link's alias comes before a name, as in Docker.
        """
        networks = [known for key in sandbox.networks if (known := self._networks.get(key)) is not None]
        found = []
        for alias, container in sandbox.links:
            for network in networks:
                linked = network.by_container.get(container)
                if linked and (name == alias or any(name == f"{alias}.{r.network_name}" for r in linked.values())):
                    found.append(list(linked.values()))
        found += [list(records.values()) for network in networks if (records := network.by_name.get(name))]
        return found

    def at(self, sandbox: Sandbox, address: AnyAddress) -> Record | None:
        """Whose *address* is, as far as *sandbox* may know."""
        for key in sandbox.networks:
            network = self._networks.get(key)
            found = network.by_address.get(address) if network is not None else None
            if found:
                return next(iter(found.values()))
        return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text is wanted")
    return value
