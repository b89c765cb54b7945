"""The exposure report: each published port, and from where it can truly be reached by the live rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from networks.cnm.addresses import AnyAddress
from networks.cnm.desired import Container, PublishedPort
from networks.cnm.ruleset.words import PROTOCOLS
from networks.cnm.trace.routing import find_way
from networks.cnm.trace.trace import Question, trace
from networks.cnm.trace.walk import HOST, OUTSIDE, Party
from networks.cnm.trace.world import LOOPBACK, Device, World
from networks.load import load_host
from networks.models import Host
from networks.observed import Observed, load_observed

DOCUMENTATION = {4: "203.0.113.7", 6: "2001:db8:ffff::7"}
"""An address of the internet at large that is nobody's (RFC 5737, RFC 3849)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One address of the host, and whether the port can be reached on it by somebody beyond a device."""

    address: str
    device: str
    """By which the caller comes in; ``lo`` for this host itself."""
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """A published port with the addresses on which it can be reached."""

    container: str
    container_id: str
    protocol: str
    host_port: int
    container_port: int
    published_on: str
    allowed_sources: tuple[str, ...]
    reaches: tuple[Reach, ...]

    @property
    def open_to_others(self) -> bool:
        """Whether somebody outside this host gets in."""
        return any(reach.verdict == "allowed" and reach.device != LOOPBACK for reach in self.reaches)

    def to_json(self) -> dict[str, Any]:
        return {
            "container": self.container,
            "container_id": self.container_id,
            "protocol": self.protocol,
            "host_port": self.host_port,
            "container_port": self.container_port,
            "published_on": self.published_on,
            "allowed_sources": list(self.allowed_sources),
            "open_to_others": self.open_to_others,
            "reaches": [
                {"address": one.address, "device": one.device, "verdict": one.verdict, "reason": one.reason}
                for one in self.reaches
            ],
        }


def exposure(host: Host) -> list[Exposed]:
    """Every published port of a container that runs, in the order of host ports."""
    observed = load_observed(host)
    if not observed.complete:
        return []
    desired = load_host(host)
    found = [
        _exposed(container, port, observed)
        for container in desired.containers
        if container.live
        for port in container.ports
        if port.host_port
    ]
    return sorted(found, key=lambda one: (one.host_port, one.protocol, one.container))


def _exposed(container: Container, port: PublishedPort, observed: Observed) -> Exposed:
    return Exposed(
        container=container.name,
        container_id=container.id,
        protocol=port.protocol,
        host_port=port.host_port,
        container_port=port.container_port,
        published_on=str(port.host_address) if port.host_address is not None else "",
        allowed_sources=tuple(map(str, port.allowed_sources)),
        reaches=tuple(_reaches(port, observed)),
    )


def _reaches(port: PublishedPort, observed: Observed) -> Iterator[Reach]:
    """From a neighbour beyond each device of the host, and from the host itself, to each of its addresses."""
    world = observed.world
    plugged = {plug.outer.index for plug in world.plugs}
    bridges = {plug.outer.master for plug in world.plugs}
    for device in world.devices:
        if device.index in plugged or device.name in bridges or not device.up:
            continue
        for own in device.addresses:
            if own.ip.is_link_local or (port.host_address is not None and port.host_address.version != own.version):
                continue
            asks = Party(HOST) if device.name == LOOPBACK else Party(OUTSIDE, device.name)
            question = Question(
                source=asks,
                destination=own.ip,
                protocol=PROTOCOLS[port.protocol],
                port=port.host_port,
                source_address=None if device.name == LOOPBACK else _caller(device, own.ip, world),
            )
            found = trace(question, observed.ruleset, world)
            yield Reach(address=str(own.ip), device=device.name, verdict=found.verdict, reason=str(found.reason))


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
