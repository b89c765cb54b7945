"""Who reaches whom on a host, by names: the matrix of now, of a moment that was kept, and what differs between two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from networks.cnm import desired as plain
from networks.cnm import reach
from networks.cnm.imagined import imagined_rules, imagined_world
from networks.cnm.names import sandbox_name
from networks.cnm.reach import SAME, Matrix
from networks.cnm.resources import Resource
from networks.cnm.ruleset.model import Ruleset
from networks.cnm.ruleset.words import PROTOCOLS
from networks.cnm.trace.trace import ALLOWED
from networks.cnm.trace.walk import CONTAINER, HOST, OUTSIDE
from networks.cnm.trace.world import World
from networks.load import load_host
from networks.models import Host
from networks.observed import Observed, load_observed

_NUMBERS = {number: name for name, number in PROTOCOLS.items()}
NOTHING = ""
"""The verdict about a port that is not there."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """Parties that fare otherwise than before."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    before: str
    after: str

    def to_json(self) -> Json:
        return {
            "sources": list(self.sources),
            "targets": list(self.targets),
            "before": self.before,
            "after": self.after,
        }


def matrix(host: Host, port: int = 0, protocol: str = "tcp") -> Json | None:
    """The matrix of *host* by its live rules, by IPv4 and (``ipv6``) by IPv6: for *port* of everybody, or (0) for all that is published
    or exposed. None before the worker's first look."""
    observed = load_observed(host)
    if not observed.complete:
        return None
    desired = load_host(host)

    def asked(version: int) -> Asked:
        return asked_of(desired, port, protocol, version)

    return _both(observed.ruleset, observed.world, asked, desired)


Asked = dict[str, list[tuple[int, int]]]


def asked_of(host: plain.Host, port: int = 0, protocol: str = "tcp", version: int = 4) -> Asked:
    """Sandbox, ``host``, or ``host ADDRESS`` -> (protocol, port) of what is asked about by one version of IP."""
    asked: Asked = {HOST: []}
    for container in host.containers:
        if not container.live:
            continue
        shared = container.network_mode.partition("container:")[2]
        own = asked.setdefault(sandbox_name(shared or container.id), [])
        if port:
            own.append((PROTOCOLS[protocol], port))
            continue
        own += [(PROTOCOLS[one.protocol], one.container_port) for one in container.ports]
        own += [(PROTOCOLS[kind], number) for number, kind in container.exposed_ports]
        for one in container.ports:
            only = one.host_address
            if one.host_port and (only is None or only.version == version):
                name = HOST if only is None or only.is_unspecified else f"{HOST} {only}"
                asked.setdefault(name, []).append((PROTOCOLS[one.protocol], one.host_port))
    if port:
        asked[HOST].append((PROTOCOLS[protocol], port))
    return asked


def _both(ruleset: Ruleset, world: World, asked: Callable[[int], Asked], *hosts: plain.Host) -> Json:
    found = {version: named(reach.compute(ruleset, world, asked(version), version), *hosts) for version in (4, 6)}
    return {**found[4], "ipv6": found[6]}


def named(found: Matrix, *hosts: plain.Host) -> Json:
    """*found* as JSON, with containers by their names (in the first of *hosts* that has them)."""
    names = {sandbox_name(one.id): one.name for host in reversed(hosts) for one in host.containers}
    return {
        "sources": [
            {"kind": group.kind, "members": sorted(names.get(name, name) for name in group.members)}
            for group in found.sources
        ],
        "targets": [
            {
                "kind": target.kind,
                "members": sorted(
                    [names.get(name, name), _NUMBERS.get(protocol, str(protocol)), port]
                    for name, protocol, port in target.members
                ),
            }
            for target in found.targets
        ],
        "verdicts": [list(row) for row in found.verdicts],
        "addresses": {names.get(name, name): str(address) for name, address in found.addresses.items()},
    }


def flips(
    host: Host, before: Sequence[Resource], after: Sequence[Resource], was: plain.Host, will: plain.Host
) -> list[Difference]:
    """What a change of the desired state does to who reaches whom; nothing before the worker's first look."""
    observed = load_observed(host)
    if not observed.complete or before == after:
        return []
    old = _imagined(host, observed, before, after, was, will)
    new = _imagined(host, observed, after, before, will, will)
    return list(differences(old, new))


def _imagined(
    host: Host,
    observed: Observed,
    wanted: Sequence[Resource],
    other: Sequence[Resource],
    desired: plain.Host,
    called: plain.Host,
) -> Json:
    """*called* says what containers are called, so that one that gets another name is still itself."""
    ruleset = imagined_rules(observed.ruleset, wanted, host.firewall_backend or "iptables-nft", other)
    world = imagined_world(observed.world, wanted, other)
    return _both(ruleset, world, lambda version: asked_of(desired, version=version), called, desired)


def differences(old: Json, new: Json) -> Iterator[Difference]:
    """What differs between two matrices, parties that fare alike together. Ports that appear or go away count where they are or were
    reached. What differs alike by IPv4 and by IPv6 is told once."""
    told = set()
    for one in (*_differences(old, new), *(_differences(old["ipv6"], new["ipv6"]) if "ipv6" in old else ())):
        if one not in told:
            told.add(one)
            yield one


def _differences(old: Json, new: Json) -> Iterator[Difference]:
    rows, columns = _Rows(old["sources"]), _columns(old["targets"])
    for source, line in zip(new["sources"], new["verdicts"], strict=True):
        for target, verdict in zip(new["targets"], line, strict=True):
            for row, senders in rows.split(source):
                for column, receivers in _split(target["members"], columns):
                    before = _verdict(old, row, column)
                    if _differs(before, verdict):
                        yield Difference(senders, receivers, before, verdict)
    yield from _gone(old, new)


def _gone(old: Json, new: Json) -> Iterator[Difference]:
    there = {tuple(member) for target in new["targets"] for member in target["members"]}
    for place, target in enumerate(old["targets"]):
        lost = tuple(spelled(member) for member in target["members"] if tuple(member) not in there)
        for source, line in zip(old["sources"], old["verdicts"], strict=True):
            if lost and line[place] == ALLOWED:
                yield Difference(tuple(source["members"]), lost, ALLOWED, NOTHING)


def _differs(before: str, after: str) -> bool:
    if SAME in {before, after}:
        return False
    return before != after and not (before == NOTHING and after != ALLOWED)


def _verdict(old: Json, row: int | None, column: int | None) -> str:
    if row is None or column is None:
        return NOTHING
    return str(old["verdicts"][row][column])


def _columns(targets: Iterable[Json]) -> dict[tuple[Any, ...], int]:
    return {tuple(member): place for place, target in enumerate(targets) for member in target["members"]}


def _split(
    members: Iterable[Sequence[Any]], columns: dict[tuple[Any, ...], int]
) -> Iterator[tuple[int | None, tuple[str, ...]]]:
    """*members* of a target by the column that had them."""
    found: dict[int | None, list[str]] = {}
    for member in members:
        found.setdefault(columns.get(tuple(member)), []).append(spelled(member))
    for column, members_of in found.items():
        yield column, tuple(members_of)


def spelled(member: Sequence[Any]) -> str:
    name, protocol, port = member
    return f"{name.removeprefix(f'{HOST} ')}:{port}/{protocol}"


class _Rows:
    """Finds the row that had a party."""

    def __init__(self, sources: Iterable[Json]) -> None:
        self._by_name: dict[str, int] = {}
        self._outside: list[tuple[str, int, int, int]] = []
        for place, source in enumerate(sources):
            for name in source["members"]:
                self._by_name[f"{source['kind']} {name}"] = place
                if source["kind"] == OUTSIDE:
                    device, low, high = interval(name)
                    self._outside.append((device, low, high, place))

    def split(self, source: Json) -> Iterator[tuple[int | None, tuple[str, ...]]]:
        found: dict[int | None, list[str]] = {}
        for name in source["members"]:
            found.setdefault(self._find(source["kind"], name), []).append(name)
        for row, names in found.items():
            if row is not None or source["kind"] == CONTAINER:
                yield row, tuple(names)

    def _find(self, kind: str, name: str) -> int | None:
        row = self._by_name.get(f"{kind} {name}")
        if row is not None or kind != OUTSIDE:
            return row
        device, low, _ = interval(name)
        return next(
            (place for known, first, last, place in self._outside if known == device and first <= low <= last), None
        )


def interval(name: str) -> tuple[str, int, int]:
    device, _, span = name.partition(" ")
    low, _, high = span.partition("-")
    return device, int(ip_address(low)), int(ip_address(high))
