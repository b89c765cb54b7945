"""Rules of others that decide before rules of ours are asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from networks.cnm.findings import shadowing
from networks.cnm.rules import Rule
from networks.cnm.ruleset.model import IPTABLES_NFT, LEGACY, Ruleset

FAMILIES = {4: "ip", 6: "ip6"}


@dataclass(frozen=True, slots=True)
class Shadow:
    """A foreign rule, and the first of ours that it keeps from being asked."""

    key: tuple[str, ...]
    """(family, table, chain, text) of the foreign rule."""
    text: str
    ours: Rule


def find_shadows(ruleset: Ruleset, wanted: Iterable[Rule]) -> list[Shadow]:
    """What stands in the way of *wanted*, in the chains of either flavour of iptables. Each foreign rule once."""
    ours = {
        (flavour, FAMILIES[rule.family], rule.table, rule.chain, rule.text): rule
        for rule in wanted
        for flavour in (LEGACY, IPTABLES_NFT)
    }
    found = {}
    for foreign, mine in shadowing(ruleset, frozenset(ours)):
        text = f"{'ip6tables' if foreign.family == 'ip6' else 'iptables'} -t {foreign.table} {foreign.text}"
        shadow = Shadow((foreign.family, foreign.table, foreign.chain, foreign.text), text, ours[mine])
        found.setdefault(shadow.key, shadow)
    return list(found.values())
