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


def native(shown: Collection[tuple[int, str]]) -> list[dict[str, Any]]:
    """Everything in nftables, as nft lists it, but the tables of *shown* (family, table): those of iptables-nft, which iptables prints."""
    done = run_nft(["-j", "list", "ruleset"])
    if done.returncode != 0:
        raise KernelRefused(
            gettext_noop("{program} could not list the rules: {cause}"),
            remedy=gettext_noop("See what nft list ruleset prints."),
            program="nft",
            cause=done.stderr.strip() or done.returncode,
        )
    found: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
    return [item for item in found if "metainfo" not in item and _place(item) not in shown]


def _place(item: Mapping[str, Any]) -> tuple[int, str]:
    ((kind, value),) = item.items()
    name = value["name"] if kind == "table" else value.get("table", "")
    return _NUMBERS.get(value.get("family", ""), EVERY_FAMILY), name


def foreign(items: Collection[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(chains, rules) of everybody among *items* but ours. A table's name has its family before it where that is neither ``ip`` nor
    ``ip6``: ``inet filter``."""
    chains: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    for chain in of_items(items, without=OURS).chains:
        family = _NUMBERS.get(chain.family, EVERY_FAMILY)
        table = chain.table if family else f"{chain.family} {chain.table}"
        place = {"family": family, "table": table}
        chains.append({**place, "name": chain.name, "policy": chain.policy.upper() or "-", "packets": 0, "bytes": 0})
        rules += [
            {**place, "chain": chain.name, "text": rule.text, "position": rule.position}
            | {"packets": rule.packets, "bytes": rule.bytes, "tag": ""}
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
