"""The kernel's own trace of one packet through nf_tables (``meta nftrace``, nft(8)): rules, verdicts and policies, hook by hook.

A table of our own marks the packet before all other hooks; it is there for the time of one probe. Several at once have a table each.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Thread

NAME = "cnm_probe"
PRIORITY = -450
"""Before defragmentation (-400) and everything else that others hook in."""
_LINE = re.compile(r"trace id (?P<id>[0-9a-f]+) (?P<family>\S+) (?P<table>\S+) (?P<chain>\S+) (?P<rest>.+)")
_RULE = re.compile(r"rule (?P<text>.*) \(verdict (?P<verdict>.*)\)\s*\Z")
_POLICY = re.compile(r"policy (?P<verdict>\S+)")
_LISTEN_S, _REST_S, _TIMEOUT_S = 0.3, 0.3, 10


@dataclass(slots=True)
class Traced:
    """What the kernel told; complete when the ``with`` is over."""

    lines: list[str] = field(default_factory=list)

    def steps(self) -> list[dict[str, str]]:
        """The first packet's: ``where`` (family, table and chain), ``text`` and ``verdict`` of each rule or policy that it met.

        The kernel gives a packet another id once it is routed, so packets are told apart by our own chains: each comes past one of them
        once (what a host sends to itself past both).
        """
        found: list[dict[str, str]] = []
        begun: set[str] = set()
        for line in self.lines:
            parts = _LINE.match(line)
            if parts is None:
                continue
            if parts["table"].startswith(NAME):
                if parts["rest"].startswith("packet:"):
                    if parts["chain"] in begun:
                        break
                    begun.add(parts["chain"])
                continue
            rule, policy = _RULE.match(parts["rest"]), _POLICY.match(parts["rest"])
            if rule is None and policy is None:
                continue
            text = rule["text"].strip() if rule is not None else "policy"
            verdict = rule["verdict"] if rule is not None else policy["verdict"] if policy is not None else ""
            where = f"{parts['family']} {parts['table']} {parts['chain']}"
            found.append({"where": where, "text": text, "verdict": verdict})
        return found


@contextlib.contextmanager
def traced(protocol: str, address: str, number: int) -> Iterator[Traced]:
    """Trace what goes to *address* from source port *number* (for ICMP: with that identifier) in the host's own namespace."""
    table = f"{NAME}_{number}"
    result = Traced()
    _nft(f"add table inet {table}\ndelete table inet {table}\n{_table(table, protocol, address, number)}")
    try:
        with subprocess.Popen(
            ["nft", "monitor", "trace"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as monitor:
            reader = Thread(target=_read, args=(monitor, result), daemon=True)
            reader.start()
            time.sleep(_LISTEN_S)  # it says nothing when it has begun to listen
            try:
                yield result
                time.sleep(_REST_S)
            finally:
                monitor.terminate()
                reader.join(_TIMEOUT_S)
    finally:
        _nft(f"delete table inet {table}\n")


def _read(monitor: subprocess.Popen[str], result: Traced) -> None:
    assert monitor.stdout is not None  # noqa: S101  # it was asked for
    for line in monitor.stdout:
        result.lines.append(line.rstrip())


def _table(table: str, protocol: str, address: str, number: int) -> str:
    family = "ip6" if ":" in address else "ip"
    kind = {"icmp": "icmpv6" if family == "ip6" else "icmp"}.get(protocol, protocol)
    own = f"{kind} id {number}" if protocol == "icmp" else f"{kind} sport {number}"
    mark = f"{family} daddr {address} {own} meta nftrace set 1"
    chains = [
        f"chain {hook} {{ type filter hook {hook} priority {PRIORITY}; policy accept; {mark}; }}"
        for hook in ("prerouting", "output")
    ]
    return f"table inet {table} {{\n" + "\n".join(chains) + "\n}\n"


def _nft(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text, text=True, capture_output=True, timeout=_TIMEOUT_S, check=True)
