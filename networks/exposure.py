"""The exposure report: each published or listening port, and from where it can truly be reached by the live rules."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from django.utils.translation import gettext

from networks.cnm.addresses import AnyAddress
from networks.cnm.desired import Container, PublishedPort
from networks.cnm.facts import Listener
from networks.cnm.guards import calls_closed, guard_of, guarded
from networks.cnm.ruleset.model import Ruleset
from networks.cnm.ruleset.words import PROTOCOLS
from networks.cnm.text import Text
from networks.cnm.trace.routing import find_way
from networks.cnm.trace.trace import ALLOWED, Question, trace
from networks.cnm.trace.walk import HOST, OUTSIDE, Party
from networks.cnm.trace.world import LOOPBACK, Device, World
from networks.load import load_facts, load_host
from networks.models import Host
from networks.observed import Observed, load_observed

DOCUMENTATION = {4: "203.0.113.7", 6: "2001:db8:ffff::7"}
"""An address of the internet at large that is nobody's (RFC 5737, RFC 3849)."""
PUBLISHED, LISTENING = "published", "listening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One address of the host, and whether the port can be reached on it by somebody beyond a device."""

    address: str
    device: str
    """By which the caller comes in; ``lo`` for this host itself."""
    verdict: str
    reason: Text
    claimed_closed: bool = False
    """Whether the host's ufw or firewalld call it closed."""

    @property
    def misleads(self) -> bool:
        return self.claimed_closed and self.verdict == ALLOWED


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """A port of this host with the addresses on which it can be reached."""

    kind: str
    """``published`` (of a container) or ``listening`` (a program of the host)."""
    container: str = ""
    container_id: str = ""
    port_id: str = ""
    process: str = ""
    """``name (pid)`` of a program that listens."""
    protocol: str
    host_port: int
    container_port: int = 0
    published_on: str
    """The one address on which it is; empty: every one."""
    allowed_sources: tuple[str, ...] = ()
    guard: str = ""
    """``ufw`` or ``firewalld`` where one of them guards this host."""
    reaches: tuple[Reach, ...]

    @property
    def open_to_others(self) -> bool:
        """Whether somebody outside this host gets in."""
        return any(reach.verdict == ALLOWED and reach.device != LOOPBACK for reach in self.reaches)

    @property
    def misleads(self) -> bool:
        """Whether the guard calls closed what is open."""
        return any(reach.misleads for reach in self.reaches)

    def restrictions(self) -> list[dict[str, Any]]:
        """How to let fewer in: REST calls, each of which shows its plan with ``?dry_run=1``. Of another's program there is none."""
        if self.kind != PUBLISHED or not self.open_to_others:
            return []
        ports = f"/api/v1/containers/{self.container}/ports"
        inner = {"container_port": self.container_port, "host_port": self.host_port, "protocol": self.protocol}
        return [
            {
                "text": "allowed_sources",
                "calls": [
                    {
                        "method": "PATCH",
                        "path": f"{ports}/{self.port_id}",
                        "body": {"allowed_sources": ["192.0.2.0/24"]},
                    }
                ],
            },
            {
                "text": "host_address",
                "calls": [
                    {"method": "DELETE", "path": f"{ports}/{self.port_id}", "body": None},
                    {"method": "POST", "path": ports, "body": {"ports": [inner | {"host_address": "127.0.0.1"}]}},
                ],
            },
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "container": self.container,
            "container_id": self.container_id,
            "process": self.process,
            "protocol": self.protocol,
            "host_port": self.host_port,
            "container_port": self.container_port,
            "published_on": self.published_on,
            "allowed_sources": list(self.allowed_sources),
            "open_to_others": self.open_to_others,
            "guard": self.guard,
            "misleads": self.misleads,
            "restrictions": self.restrictions(),
            "reaches": [
                {
                    "address": one.address,
                    "device": one.device,
                    "verdict": one.verdict,
                    "reason": one.reason.translated(gettext),
                    "claimed_closed": one.claimed_closed,
                }
                for one in self.reaches
            ],
        }


CSV_COLUMNS = (
    "kind", "host_port", "protocol", "container", "container_port", "process", "published_on", "allowed_sources",
    "open_to_others", "guard", "misleads", "address", "device", "verdict", "claimed_closed", "reason", "host",
)  # fmt: skip


def to_csv(found: Iterable[tuple[str, Exposed]]) -> str:
    """One line for each host's port and address (RFC 4180). A text that a table program would take for a formula gets a quote before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    for host, exposed in found:
        row = exposed.to_json() | {"host": host}
        for reach in row["reaches"] or [{}]:
            values = row | {"allowed_sources": " ".join(row["allowed_sources"])} | reach
            writer.writerow([_cell(values.get(name, "")) for name in CSV_COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    text = str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text[:1] else text


def exposure(host: Host) -> list[Exposed]:
    """Every published port of a container that runs and every port that a program of the host holds, in their order."""
    observed = load_observed(host)
    if not observed.complete:
        return []
    report = _Report(observed)
    found = [
        report.published(container, port)
        for container in load_host(host).containers
        if container.live
        for port in container.ports
        if port.host_port
    ]
    found += [report.listening(*one) for one in _by_port(load_facts(host).listeners)]
    return sorted(found, key=lambda one: (one.host_port, one.protocol, one.container, one.process))


def _by_port(listeners: Sequence[Listener]) -> Iterator[tuple[str, int, str, list[str]]]:
    """(protocol, port, process, addresses): a program that listens on several addresses is one line."""
    found: dict[tuple[str, int, str], list[str]] = {}
    for one in listeners:
        found.setdefault((one.protocol, one.port, one.process), []).append(one.address)
    for (protocol, port, process), addresses in found.items():
        yield protocol, port, process, addresses


@dataclass(frozen=True)
class _Report:
    """Asks the live rules of one host."""

    observed: Observed

    @cached_property
    def guard(self) -> str:
        return guard_of(self.observed.ruleset)

    @cached_property
    def _guarded(self) -> Ruleset:
        return guarded(self.observed.ruleset)

    def published(self, container: Container, port: PublishedPort) -> Exposed:
        only = port.host_address
        return Exposed(
            kind=PUBLISHED,
            container=container.name,
            container_id=container.id,
            port_id=port.id,
            protocol=port.protocol,
            host_port=port.host_port,
            container_port=port.container_port,
            published_on=str(only) if only is not None else "",
            allowed_sources=tuple(map(str, port.allowed_sources)),
            guard=self.guard,
            reaches=tuple(
                self._reach(device, own, port.protocol, port.host_port)
                for device, own in self._addresses()
                if only is None or own == only or (only.is_unspecified and only.version == own.version)
            ),
        )

    def listening(self, protocol: str, port: int, process: str, bound: Sequence[str]) -> Exposed:
        wanted = [ip_address(address) for address in bound]
        everywhere = any(address.is_unspecified for address in wanted)
        return Exposed(
            kind=LISTENING,
            process=process,
            protocol=protocol,
            host_port=port,
            published_on="" if everywhere else " ".join(bound),
            guard=self.guard,
            reaches=tuple(
                self._reach(device, own, protocol, port)
                for device, own in self._addresses()
                if any(_listens(address, own) for address in wanted)
            ),
        )

    def _addresses(self) -> Iterator[tuple[Device, AnyAddress]]:
        """Each address of the host that somebody outside, or the host itself, would call."""
        world = self.observed.world
        here = [device for device in world.devices if device.name == LOOPBACK and device.up]
        for device in (*here, *world.outward):
            for own in device.addresses:
                if not own.ip.is_link_local:
                    yield device, own.ip

    def _reach(self, device: Device, own: AnyAddress, protocol: str, port: int) -> Reach:
        """From a neighbour beyond *device*, or from the host itself."""
        world = self.observed.world
        local = device.name == LOOPBACK
        question = Question(
            source=Party(HOST) if local else Party(OUTSIDE, device.name),
            destination=own,
            protocol=PROTOCOLS[protocol],
            port=port,
            source_address=None if local else _caller(device, own, world),
        )
        found = trace(question, self.observed.ruleset, world)
        closed = bool(self.guard) and not local and calls_closed(self._guarded, world, question)
        return Reach(
            address=str(own),
            device=device.name,
            verdict=found.verdict,
            reason=found.reason,
            claimed_closed=closed,
        )


def _listens(bound: AnyAddress, own: AnyAddress) -> bool:
    """Whether a socket bound to *bound* gets what goes to *own*. One on :: takes IPv4 too, as Linux has it unless told otherwise."""
    if bound.is_unspecified:
        return bound.version in {6, own.version}
    return bound == own or (bound.is_loopback and own.is_loopback and bound.version == own.version)


def _caller(device: Device, address: AnyAddress, world: World) -> AnyAddress:
    """Somebody beyond *device*: the internet where the way there leads through it, else a neighbour."""
    far = ip_address(DOCUMENTATION[address.version])
    if find_way(world, far).device == device.name:
        return far
    network = next((own.network for own in device.addresses if own.ip == address), None)
    hosts = (
        [ip for ip in (network[1], network[2]) if ip != address]
        if network is not None and network.num_addresses > 3
        else []
    )
    return hosts[0] if hosts else far
