"""The tables that others keep in nftables, for the audit: in words like nft's own, for iptables has none for them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from networks.cnm.errors import KernelRefused
from networks.cnm.iptables_text import Saved
from networks.cnm.ruleset.nftables import of_items
from networks.cnm.text import gettext_noop
from worker.firewall.backend import TABLES
from worker.kernel.meter import NAME as METER
from worker.kernel.nft_message import PROTOCOLS
from worker.kernel.nft_watch import NftWatch

from .backend import list_table, run_nft
from .expressions import FAMILIES
from .table import NAME, parse_table

Place = tuple[str, str]
"""(family, table), as nft calls them."""
Items = list[dict[str, Any]]

EVERY_FAMILY = 0
"""What a table of the families ``inet``, ``bridge``, ``arp`` or ``netdev`` counts as."""
_NUMBERS = {name: number for number, name in FAMILIES.items()}
OURS = [(family, NAME) for family in _NUMBERS]


class Ruleset:
    """Everything in nftables, table by table as nft lists it. What nobody has touched since the last look is not listed again."""

    def __init__(self) -> None:
        self._watch: NftWatch | None = None
        self._known: dict[Place, tuple[int, Items]] = {}
        self._saved: dict[int, tuple[Items, Saved]] = {}

    def look(self, *, without: Collection[tuple[int, str]] = (), counters: bool = True) -> Items:
        """The items of all tables but those of *without* (family, table), the ones of iptables-nft, which iptables prints; and but the
        meter of published ports, which comes and goes with who looks at it and decides about no packet.

        *counters*: as they are now; otherwise those of a table are as old as its last change. Raises :class:`KernelRefused`.
        """
        left_out = {*without, *((family, METER) for family in _NUMBERS.values())}
        now = self._now()
        places = [place for place in _places() if (_NUMBERS.get(place[0], EVERY_FAMILY), place[1]) not in left_out]
        found: dict[Place, tuple[int, Items]] = {}
        for place in places:
            known = None if counters else self._again(place)
            found[place] = known if known is not None else (now, list_table(*place))
        self._known = found
        return [item for _, items in found.values() for item in items if "metainfo" not in item]

    def ours(self, family: int) -> Saved:
        """Our own table of *family* in the words of iptables, with counters, as it was at the last look."""
        items = self._known.get((FAMILIES[family], NAME), (0, []))[1]
        known = self._saved.get(family)
        if known is None or known[0] is not items:
            known = self._saved[family] = (items, parse_table(family, items).saved(counters=True))
        return known[1]

    def _again(self, place: Place) -> tuple[int, Items] | None:
        """What is known of a table, if it is that still."""
        known = self._known.get(place)
        if known is None or self._watch is None:
            return None
        now = self._watch.untouched([(PROTOCOLS.get(place[0], 0), place[1])], known[0])
        return None if now is None else (now, known[1])

    def _now(self) -> int:
        if self._watch is None:
            self._watch = NftWatch()
        return self._watch.generation()


def _places() -> list[Place]:
    done = run_nft(["-j", "list", "tables"])
    if done.returncode != 0:
        raise KernelRefused(
            gettext_noop("{program} could not list the rules: {cause}"),
            remedy=gettext_noop("See what nft list ruleset prints."),
            program="nft",
            cause=done.stderr.strip() or done.returncode,
        )
    return [(item["table"]["family"], item["table"]["name"]) for item in _items(done.stdout) if "table" in item]


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
