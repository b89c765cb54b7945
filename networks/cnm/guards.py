"""What ufw and firewalld believe of a port: their rules guard INPUT, which forwarded packets never pass. Pure."""

from __future__ import annotations

from dataclasses import replace

from networks.cnm.ruleset.model import Chain, Ruleset
from networks.cnm.trace.trace import DROPPED, REJECTED, Question, trace
from networks.cnm.trace.world import World

UFW, FIREWALLD = "ufw", "firewalld"
_MARKS = {
    UFW: ("ufw-", "ufw6-"),
    FIREWALLD: ("IN_public", "IN_ZONES", "INPUT_ZONES", "filter_INPUT"),
}


def guard_of(ruleset: Ruleset) -> str:
    """The program that guards INPUT; empty where none of those known does."""
    for chain in ruleset.chains:
        if chain.hook == "input":
            for guard in _MARKS:
                if _is_of(chain, guard):
                    return guard
    return ""


def _is_of(chain: Chain, guard: str) -> bool:
    if guard == FIREWALLD and chain.table == "firewalld":
        return True
    return any(mark in rule.text for rule in chain.rules for mark in _MARKS[guard])


def guarded(ruleset: Ruleset) -> Ruleset:
    """*ruleset* as its guard sees the host: what comes to a port meets INPUT alone, and no translation."""
    kept = tuple(chain for chain in ruleset.chains if chain.type != "nat" and chain.hook in {"", "input"})
    return replace(ruleset, chains=kept)


def calls_closed(guard: Ruleset, world: World, question: Question) -> bool:
    """Whether by *guard* (of :func:`guarded`) the port of *question* is closed to its sender."""
    return trace(question, guard, world).verdict in {DROPPED, REJECTED}
