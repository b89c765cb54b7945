"""What happened to a packet on its way, one thing after the other."""

from __future__ import annotations

from dataclasses import dataclass

from networks.cnm.ruleset.model import Rule

from .packet import Packet

ASKED, ANSWER, REST = "", "answer", "rest"
"""Phases: the packet that was asked about, what was sent back, and what followed that."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to the packet."""

    kind: str
    """``rule``, ``policy``, ``routing``, ``bridge``, ``translation``, ``sandbox``, ``start`` or ``end``."""
    where: str
    """``filter FORWARD``, or the device or sandbox."""
    text: str
    """The rule, or what was decided."""
    outcome: str = ""
    """``accept``, ``drop``, ``reject``, ``jump``, ``return``, ``continue``, ``dnat …``, …"""
    rule: Rule | None = None
    hook: str = ""
    phase: str = ""
    """Empty: the packet that was asked about; ``answer``: what was sent back; ``rest``: what followed that."""
    packet: str = ""
    """The packet after the step."""
    element: str = ""
    """What stands beside the element of a set or map by which the rule matched: of ours its owner's id."""


class Stopped(Exception):
    """The packet goes no further."""

    def __init__(self, verdict: str, reason: str, step: Step | None = None) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason
        self.step = step


def describe(packet: Packet) -> str:
    """``192.0.2.1 -> 172.17.0.2:80 tcp``."""
    now = packet.now
    port = f":{now.dport.low}" if now.dport is not None and now.dport.low == now.dport.high else ""
    host = f"[{now.destination}]" if port and now.destination.version == 6 else str(now.destination)
    return f"{now.source} -> {host}{port}"
