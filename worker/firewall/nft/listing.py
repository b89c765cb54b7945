"""The tables that others keep in nftables, for the audit: in words like nft's own, for iptables has none for them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from networks.cnm.errors import KernelRefused
from networks.cnm.ruleset.nftables import of_items
from networks.cnm.text import gettext_noop
from worker.firewall.backend import TABLES

from .backend import run_nft
from .expressions import FAMILIES
from .table import NAME

EVERY_FAMILY = 0
"""What a table of the families ``inet``, ``bridge``, ``arp`` or ``netdev`` counts as."""
_NUMBERS = {name: number for number, name in FAMILIES.items()}
OURS = [(family, NAME) for family in _NUMBERS]


def foreign(shown: Collection[tuple[int, str, str]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(chains, rules) of everybody in nftables but ours, and but those of *shown* (family, table, chain): those of iptables-nft,
    which iptables prints. A table's name has its family before it where that is neither ``ip`` nor ``ip6``: ``inet filter``.
    """
    done = run_nft(["-j", "list", "ruleset"])
    if done.returncode != 0:
        raise KernelRefused(
            gettext_noop("{program} could not list the rules: {cause}"),
            remedy=gettext_noop("See what nft list ruleset prints."),
            program="nft",
            cause=done.stderr.strip() or done.returncode,
        )
    chains: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    for chain in of_items(json.loads(done.stdout)["nftables"], without=OURS).chains:
        family = _NUMBERS.get(chain.family, EVERY_FAMILY)
        table = chain.table if family else f"{chain.family} {chain.table}"
        if (family, table, chain.name) in shown:
            continue
        place = {"family": family, "table": table}
        chains.append({**place, "name": chain.name, "policy": chain.policy.upper() or "-", "packets": 0, "bytes": 0})
        rules += [
            {**place, "chain": chain.name, "text": rule.text, "position": rule.position}
            | {"packets": rule.packets or 0, "bytes": rule.bytes or 0, "tag": ""}
            for rule in chain.rules
        ]
    return chains, rules


def drops_forwarded() -> bool:
    """Whether a chain of somebody else's drops forwarded packets that no rule of it accepts. iptables-nft's are not looked at."""
    done = run_nft(["-j", "list", "chains"])
    return done.returncode == 0 and any(_dropping(item.get("chain", {})) for item in _items(done.stdout))


def _items(text: str) -> Iterator[Mapping[str, Any]]:
    yield from json.loads(text)["nftables"]


def _dropping(chain: Mapping[str, Any]) -> bool:
    if chain.get("hook") != "forward" or chain.get("policy") != "drop":
        return False
    of_iptables_or_ours = chain["family"] in _NUMBERS and chain["table"] in {*TABLES, NAME}
    return chain["family"] in {*_NUMBERS, "inet"} and not of_iptables_or_ours
