"""Who reaches whom, of everybody at once: parties that no rule tells apart are merged, and one of each group is asked. Pure.

Rules cut addresses and ports into intervals. Two containers are alike when they are plugged in alike and each rule that speaks of one
(by an interval that holds its address, or by the name of its device) speaks of the other, or stands to the one as another rule stands
to the other: in the same run of rules, with the same words but for the address. So the number of traces follows from how many kinds of
parties there are, not from how many parties.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address

from .addresses import AnyAddress
from .reach_words import FAR, AddressWords, PortWords
from .ruleset.members import Span
from .ruleset.model import Ruleset
from .trace.routing import find_way
from .trace.trace import UNDECIDABLE, Question, Trace, trace
from .trace.walk import CONTAINER, HOST, OUTSIDE, Party
from .trace.world import Device, Plug, Sandbox, World

SAME = "—"
"""The verdict of a party to itself."""


@dataclass(frozen=True, slots=True)
class Group:
    """Parties that the rules do not tell apart."""

    kind: str
    """``host``, ``container`` or ``outside``."""
    members: tuple[str, ...]
    """Names of sandboxes; of the outside ``device first-last`` of each interval of addresses; ``host``."""


@dataclass(frozen=True, slots=True)
class Target:
    """Ports that the rules do not tell apart: of one group of sandboxes, or of the host."""

    kind: str
    members: tuple[tuple[str, int, int], ...]
    """(name of a sandbox or ``host``, protocol, port)"""


@dataclass(frozen=True, slots=True)
class Matrix:
    """``verdicts[row][column]``: whether a member of the source reaches (another) member of the target."""

    sources: tuple[Group, ...]
    targets: tuple[Target, ...]
    verdicts: tuple[tuple[str, ...], ...]
    traces: int
    """How many packets were asked about."""
    addresses: Mapping[str, AnyAddress]
    """By which address each of the targets is called, where it has several for one of them."""


Ports = Mapping[str, Iterable[tuple[int, int]]]
"""Name of a sandbox, ``host``, or ``host ADDRESS`` (one address of it) -> (protocol, port) of what is asked about."""


def compute(ruleset: Ruleset, world: World, ports: Ports, version: int = 4) -> Matrix:
    """The matrix of every party to every port of *ports*, by one version of IP."""
    return _Computation(ruleset, world, ports, version).matrix()


class _Computation:
    def __init__(self, ruleset: Ruleset, world: World, ports: Ports, version: int = 4) -> None:
        self.ruleset = ruleset
        self.world = world
        self.ports = ports
        self.version = version
        self.traces = 0

    def matrix(self) -> Matrix:
        grouped = list(self._containers())
        sources = [Group(HOST, (HOST,)), *self._outsides(), *grouped]
        targets = list(self._targets(grouped))
        rows = [tuple(self._verdict(source, target) for target in targets) for source in sources]
        called = {name: self.address_of(name, "") for target in targets for name, _, _ in target.members}
        addresses = {name: address for name, address in called.items() if address is not None}
        return Matrix(tuple(sources), tuple(targets), tuple(rows), self.traces, addresses)

    @cached_property
    def _met(self) -> Ruleset:
        """The rules that packets of this version meet: what the others say tells nobody apart here."""
        other = "ip6" if self.version == 4 else "ip"
        return Ruleset(tuple(chain for chain in self.ruleset.chains if chain.family != other))

    # -- groups

    def _containers(self) -> Iterator[Group]:
        found: dict[object, list[str]] = {}
        for sandbox in self.world.sandboxes:
            plugs = self.world.plugs_of.get(sandbox.name)
            if plugs and self._addresses_of(sandbox.name):
                found.setdefault((tuple(map(self._shape, plugs)), _routes(sandbox)), []).append(sandbox.name)
        for members in found.values():
            yield Group(CONTAINER, tuple(members))

    def _targets(self, grouped: Sequence[Group]) -> Iterator[Target]:
        groups = {name: number for number, group in enumerate(grouped) for name in group.members}
        addresses = {
            int(own.ip): groups[plug.sandbox.name]
            for plug in (*self.world.plugs, *self.world.wires)
            for own in plug.inner.addresses
            if self._counts(own.ip)
        }
        said = PortWords(self._met, addresses)
        found: dict[object, list[tuple[str, int, int]]] = {}
        for name, asked in self.ports.items():
            of_host = is_host(name)
            address = self.address_of(name, "")
            if address is None:
                continue
            own = [address] if of_host else self._addresses_of(name)
            for protocol, port in sorted(set(asked)):
                words = tuple(said.of(protocol, port, int(ip)) for ip in own)
                if of_host or name in groups:
                    whose = name if of_host else groups[name]
                    found.setdefault((whose, protocol, words), []).append((name, protocol, port))
        for members in found.values():
            yield Target(HOST if is_host(members[0][0]) else CONTAINER, tuple(members))

    def _addresses_of(self, name: str) -> list[AnyAddress]:
        found = [own.ip for plug in self.world.plugs_of.get(name, ()) for own in plug.inner.addresses]
        return [ip for ip in found if self._counts(ip)]

    def _counts(self, address: AnyAddress) -> bool:
        return address.version == self.version and not address.is_link_local

    def _shape(self, plug: Plug) -> object:
        """How a sandbox is plugged in, and what the rules say of its addresses and its device."""
        outer, inner = plug.outer, plug.inner
        how = (_segment(plug), outer.up, outer.hairpin, outer.isolated, inner.name, inner.up, inner.kind, inner.mode)
        more = (inner.rp_filter, inner.route_localnet, outer.forwarding, outer.forwarding6, outer.rp_filter)
        counted = [own for own in inner.addresses if self._counts(own.ip)]
        spoken = tuple(self._spoken.of(own.ip, outer.name) for own in counted)
        lengths = tuple(own.network.prefixlen for own in counted)
        return (how, more, lengths, spoken)

    @cached_property
    def _spoken(self) -> AddressWords:
        return AddressWords(self._met, self.world, self.version)

    def _outsides(self) -> Iterator[Group]:
        """The addresses beyond each device that leads outside, by what the rules say of them."""
        for device in self.world.outward:
            if not any(self._counts(own.ip) for own in device.addresses):
                continue
            intervals = [span for span in self._spoken.outside if self._comes_by(span, device)]
            kept = intervals or [Span.one(int(self._neighbour(device)))]
            by_rules: dict[object, list[Span]] = {}
            for span in kept:
                by_rules.setdefault(self._spoken.of(self._address(span.low), ""), []).append(span)
            for spans in by_rules.values():
                named = ((device.name, self._address(span.low), self._address(span.high)) for span in spans)
                yield Group(OUTSIDE, tuple(f"{name} {low}-{high}" for name, low, high in named))

    def _address(self, number: int) -> AnyAddress:
        return IPv4Address(number) if self.version == 4 else IPv6Address(number)

    def _comes_by(self, span: Span, device: Device) -> bool:
        address = self._address(span.low)
        unusual = address.is_loopback or address.is_multicast or address.is_unspecified
        if address in self.world.local or unusual or (address.version == 6 and address.is_link_local):
            return False
        return find_way(self.world, address).device == device.name

    def _neighbour(self, device: Device) -> AnyAddress:
        own = next(one for one in device.addresses if self._counts(one.ip))
        return next((ip for ip in own.network.hosts() if ip != own.ip), FAR[self.version])

    # -- verdicts

    def _verdict(self, source: Group, target: Target) -> str:
        for sender in source.members:
            receiver = next((one for one in target.members if one[0] != sender or sender == HOST), None)
            if receiver is None:
                continue
            question = self._question(source, sender, receiver)
            if question is not None and question.destination.is_loopback and source.kind == CONTAINER:
                return SAME  # its own loopback, not the host's
            if question is None:
                return UNDECIDABLE
            self.traces += 1
            found = trace(question, self.ruleset, self.world)
            if not self._to_itself(found, sender):
                return found.verdict
        return SAME  # it was led to nobody but the sender

    def _to_itself(self, found: Trace, sender: str) -> bool:
        """Whether a translation led the packet back to its sender: the others of its group fare otherwise."""
        sandbox = self.world.by_sandbox.get(sender)
        own = {str(one.ip) for device in sandbox.devices for one in device.addresses} if sandbox is not None else set()
        gone_to = {step.packet.partition(" -> ")[2] for step in found.outcome.steps if not step.phase}
        return any(text.rpartition(":")[0].strip("[]") in own or text in own for text in gone_to)

    def _question(self, source: Group, sender: str, receiver: tuple[str, int, int]) -> Question | None:
        name, protocol, port = receiver
        destination = self.address_of(name, sender if source.kind == CONTAINER else "")
        if destination is None:
            return None
        party, address = Party(source.kind, sender if source.kind == CONTAINER else ""), None
        if source.kind == OUTSIDE:
            device, _, span = sender.partition(" ")
            party, address = Party(OUTSIDE, device), ip_address(span.partition("-")[0])
        return Question(source=party, destination=destination, protocol=protocol, port=port, source_address=address)

    def address_of(self, receiver: str, sender: str) -> AnyAddress | None:
        """The address by which *sender* would call *receiver*: on a network of both, else the first."""
        if receiver.startswith(f"{HOST} "):
            only = ip_address(receiver.partition(" ")[2])
            return only if only.version == self.version else None
        if receiver == HOST:
            way = find_way(self.world, FAR[self.version])
            own = next((ip for ip in self.world.local if self._counts(ip) and not ip.is_loopback), None)
            return way.source if way.source is not None and self._counts(way.source) else own
        near = {_segment(plug) for plug in self.world.plugs_of.get(sender, ())}
        addresses = [
            (_segment(plug) not in near, one.ip)
            for plug in self.world.plugs_of.get(receiver, ())
            for one in plug.inner.addresses
            if self._counts(one.ip)
        ]
        return min(addresses, key=lambda item: item[0])[1] if addresses else None


def _segment(plug: Plug) -> str:
    """What a sandbox is plugged into: a bridge, a wire, or a veth alone."""
    return plug.outer.master or plug.outer.name


def is_host(name: str) -> bool:
    return name == HOST or name.startswith(f"{HOST} ")


def _routes(sandbox: Sandbox) -> object:
    return tuple(
        sorted((str(r.destination), r.device, str(r.gateway), r.kind, r.table, r.metric) for r in sandbox.routes)
    )
