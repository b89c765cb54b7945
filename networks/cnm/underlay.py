"""What carries overlay networks between hosts: a host's own address and the room that it leaves. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from networks.cnm.addresses import AnyAddress

from .desired import HostSettings
from .facts import HostFacts, Interface

DEFAULT_MTU = 1500
HEADERS = {4: 50, 6: 70}
"""Bytes that VXLAN puts before a frame's payload: outer IP, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348 section 5)."""


def encrypted_room(room: int) -> int:
    """What of *room* ESP leaves to a packet: its header 8, the IV 8, the ICV 16 (RFC 4106), and a trailer of 2 that is filled up to a
    multiple of 4 with what it encrypts (RFC 4303 section 2.4), which are the UDP header, VXLAN's and the frame."""
    inside = _INSIDE_ESP
    return (room + inside - _ESP) // 4 * 4 - _TRAILER - inside


_INSIDE_ESP = 30
"""UDP 8, VXLAN 8, inner Ethernet 14."""
_ESP, _TRAILER = 32, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Underlay:
    """How other hosts reach a host."""

    address: AnyAddress
    device: str
    mtu: int

    @property
    def room(self) -> int:
        """The largest packet of an overlay network that passes here whole."""
        return self.mtu - HEADERS[self.address.version]


def underlay_of(settings: HostSettings, facts: HostFacts) -> Underlay | None:
    """The address that was chosen (or the first of the device that was), else that of the way outside; None where there is none."""
    for device, interface in _candidates(settings.underlay, facts):
        if not interface.ip.is_loopback and not interface.ip.is_link_local:
            return Underlay(address=interface.ip, device=device, mtu=dict(facts.mtus).get(device, DEFAULT_MTU))
    return None


def _candidates(chosen: str, facts: HostFacts) -> Iterator[tuple[str, Interface]]:
    """IPv4 first: it leaves more room."""
    ordered = sorted(facts.addresses, key=lambda pair: pair[1].version)
    if not chosen:
        yield from sorted(ordered, key=lambda pair: pair[0] != facts.default_device)
        return
    try:
        wanted = ip_address(chosen)
    except ValueError:
        yield from (pair for pair in ordered if pair[0] == chosen)
    else:
        yield from (pair for pair in ordered if pair[1].ip == wanted)
