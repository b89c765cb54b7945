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
from ipaddress import ip_address

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


Ports = Mapping[str, Iterable[tuple[int, int]]]
"""Name of a sandbox, ``host``, or ``host ADDRESS`` (one address of it) -> (protocol, port) of what is asked about."""


def compute(ruleset: Ruleset, world: World, ports: Ports) -> Matrix:
    """The matrix of every party to every port of *ports*."""
    return _Computation(ruleset, world, ports).matrix()


class _Computation:
    def __init__(self, ruleset: Ruleset, world: World, ports: Ports) -> None:
        self.ruleset = ruleset
        self.world = world
        self.ports = ports
        self.traces = 0

    def matrix(self) -> Matrix:
        grouped = list(self._containers())
        sources = [Group(HOST, (HOST,)), *self._outsides(), *grouped]
        targets = list(self._targets(grouped))
        rows = [tuple(self._verdict(source, target) for target in targets) for source in sources]
        return Matrix(tuple(sources), tuple(targets), tuple(rows), self.traces)

    # -- groups

    def _containers(self) -> Iterator[Group]:
        found: dict[object, list[str]] = {}
        for sandbox in self.world.sandboxes:
            plugs = self.world.plugs_of.get(sandbox.name)
            if plugs:
                found.setdefault((tuple(map(self._shape, plugs)), _routes(sandbox)), []).append(sandbox.name)
        for members in found.values():
            yield Group(CONTAINER, tuple(members))

    def _targets(self, grouped: Sequence[Group]) -> Iterator[Target]:
        groups = {name: number for number, group in enumerate(grouped) for name in group.members}
        addresses = {
            int(own.ip): groups[plug.sandbox.name] for plug in self.world.plugs for own in plug.inner.addresses
        }
        said = PortWords(self.ruleset, addresses)
        found: dict[object, list[tuple[str, int, int]]] = {}
        for name, asked in self.ports.items():
            of_host = is_host(name)
            own = [self.address_of(name, "")] if of_host else self._addresses_of(name)
            for protocol, port in sorted(set(asked)):
                words = tuple(said.of(protocol, port, int(ip)) for ip in own if ip is not None)
                if of_host or name in groups:
                    whose = name if of_host else groups[name]
                    found.setdefault((whose, protocol, words), []).append((name, protocol, port))
        for members in found.values():
            yield Target(HOST if is_host(members[0][0]) else CONTAINER, tuple(members))

    def _addresses_of(self, name: str) -> list[AnyAddress]:
        return [own.ip for plug in self.world.plugs_of.get(name, ()) for own in plug.inner.addresses]

    def _shape(self, plug: Plug) -> object:
        """How a sandbox is plugged in, and what the rules say of its addresses and its device."""
        outer, inner = plug.outer, plug.inner
        how = (outer.master or outer.name, outer.up, outer.hairpin, outer.isolated, inner.name, inner.up)
        more = (inner.rp_filter, inner.route_localnet, outer.forwarding, outer.forwarding6, outer.rp_filter)
        spoken = tuple(self._spoken.of(own.ip, outer.name) for own in inner.addresses if not own.ip.is_link_local)
        lengths = tuple(own.network.prefixlen for own in inner.addresses)
        return (how, more, lengths, spoken)

    @cached_property
    def _spoken(self) -> AddressWords:
        return AddressWords(self.ruleset, self.world)

    def _outsides(self) -> Iterator[Group]:
        """The addresses beyond each device that leads outside, by what the rules say of them."""
        for device in self.world.outward:
            if not any(own.version == 4 for own in device.addresses):
                continue
            intervals = [span for span in self._spoken.outside if self._comes_by(span, device)]
            kept = intervals or [Span.one(int(self._neighbour(device)))]
            by_rules: dict[object, list[Span]] = {}
            for span in kept:
                by_rules.setdefault(self._spoken.of(ip_address(span.low), ""), []).append(span)
            for spans in by_rules.values():
                yield Group(OUTSIDE, tuple(f"{device.name} {ip_address(s.low)}-{ip_address(s.high)}" for s in spans))

    def _comes_by(self, span: Span, device: Device) -> bool:
        address = ip_address(span.low)
        if address in self.world.local or address.is_loopback or address.is_multicast:
            return False
        return find_way(self.world, address).device == device.name

    def _neighbour(self, device: Device) -> AnyAddress:
        own = next(one for one in device.addresses if one.version == 4)
        return next((ip for ip in own.network.hosts() if ip != own.ip), FAR)

    # -- verdicts

    def _verdict(self, source: Group, target: Target) -> str:
        for sender in source.members:
            receiver = next((one for one in target.members if one[0] != sender or sender == HOST), None)
            if receiver is None:
                continue
            question = self._question(source, sender, receiver)
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
            if address.version != destination.version:
                return None
        return Question(source=party, destination=destination, protocol=protocol, port=port, source_address=address)

    def address_of(self, receiver: str, sender: str) -> AnyAddress | None:
        """The address by which *sender* would call *receiver*: on a network of both, else the first."""
        if receiver.startswith(f"{HOST} "):
            return ip_address(receiver.partition(" ")[2])
        if receiver == HOST:
            way = find_way(self.world, FAR)
            return way.source or next((ip for ip in self.world.local if not ip.is_loopback and ip.version == 4), None)
        own = self.world.plugs_of.get(receiver, ())
        near = {plug.outer.master for plug in self.world.plugs_of.get(sender, ())} - {""}
        addresses = [
            (plug.outer.master not in near, one.version, one.ip)
            for plug in own
            for one in plug.inner.addresses
            if not one.ip.is_link_local
        ]
        return min(addresses, key=lambda item: item[:2])[2] if addresses else None


def is_host(name: str) -> bool:
    return name == HOST or name.startswith(f"{HOST} ")


def _routes(sandbox: Sandbox) -> object:
    return tuple(
        sorted((str(r.destination), r.device, str(r.gateway), r.kind, r.table, r.metric) for r in sandbox.routes)
    )
