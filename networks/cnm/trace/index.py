"""Which rules of a long chain can concern a packet at all: found by one exact value each, so that a trace through ten thousand rules
looks at a handful."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge

from networks.cnm.ruleset.members import Item, Span
from networks.cnm.ruleset.model import Chain, Condition, Rule

from .packet import Packet

FEW = 16
"""Chains no longer than this are gone through as they are."""
FIELDS = ("daddr", "saddr", "dport", "oifname", "iifname", "physin", "physout")
"""What rules are found by, the most telling first. Nothing that a chain does changes these: a translation ends the chain."""


class ChainIndex:
    """The rules of one chain by an exact value that each of them asks for; those that ask for none are always looked at."""

    def __init__(self, chain: Chain) -> None:
        self._rules: Sequence[Rule] = chain.rules
        self._always: list[int] = []
        self._by_value: dict[tuple[str, Item], list[int]] = {}
        for place, rule in enumerate(chain.rules):
            keys = _exact(rule)
            if not keys:
                self._always.append(place)
            for key in keys:
                self._by_value.setdefault(key, []).append(place)

    def candidates(self, packet: Packet) -> Iterable[Rule]:
        """The rules that may match *packet*, in the chain's order."""
        now = packet.now
        values: tuple[tuple[str, Item | None], ...] = (
            ("daddr", Span.one(int(now.destination))),
            ("saddr", Span.one(int(now.source))),
            ("dport", now.dport),
            ("oifname", packet.oif),
            ("iifname", packet.iif),
            ("physin", packet.physin),
            ("physout", packet.physout),
        )
        found = [self._by_value[value] for value in values if value in self._by_value]
        if not found:
            return map(self._rules.__getitem__, self._always)
        return map(self._rules.__getitem__, merge(self._always, *found))


def _exact(rule: Rule) -> list[tuple[str, Item]]:
    """The values of one field of which the rule asks for one; empty where it asks for none by an exact value.

    What stands before that condition must decide nothing by itself: a condition that depends on more than the packet is asked about
    even where a later one does not hold, and asking changes no verdict, only what is said; so such rules are always looked at.
    """
    best: dict[str, list[tuple[str, Item]]] = {}
    for statement in rule.statements:
        if not isinstance(statement, Condition):
            break
        field = statement.fields[0]
        if len(statement.fields) > 1 or statement.negated or statement.bits is not None or field.mask is not None:
            continue
        if field.name not in FIELDS or field.name in best or not statement.members.entries:
            continue
        items = [key[0] for key, _ in statement.members.entries]
        if all(_is_exact(item) for item in items):
            best[field.name] = [(field.name, item) for item in items]
    return next((best[name] for name in FIELDS if name in best), [])


def _is_exact(item: Item) -> bool:
    return not item.endswith("*") if isinstance(item, str) else item.low == item.high
