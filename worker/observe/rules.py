"""Reading the rules and chains of ours out of the kernel, and everybody's for the audit."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from networks.cnm.errors import KernelRefused
from networks.cnm.iptables_text import Saved, parse_rule
from networks.cnm.names import CNM_NAMING, NAMINGS, Naming
from networks.cnm.resources import Resource
from networks.cnm.rules import Chain, Rank, Rule
from worker.firewall import legacy
from worker.firewall.backend import Backend
from worker.firewall.edit import in_order
from worker.firewall.flavour import LEGACY, NFT, backend_of
from worker.firewall.ledger import RuleLedger
from worker.firewall.nft import listing
from worker.firewall.nft.backend import NFTABLES
from worker.firewall.nft.listing import Ruleset

from .docker import observe_docker
from .ipsets import observe_ipsets

log = logging.getLogger(__name__)

DOCKERS = "DOCKER"
"""What stands in the names of a Docker Engine's chains."""
TAG = re.compile(r'--comment "(cnm:[a-z]{3}:[A-Za-z0-9_.-]{1,12})"')
FAMILIES = (4, 6)
USER_CHAINS = frozenset(naming.user_chain for naming in NAMINGS.values())
ChainKey = tuple[str, str]
"""(table, chain)."""
SlotPlace = tuple[str, tuple[str | int, ...]]
"""(text of the line that asks for a rule, key)."""


@dataclass(slots=True)
class FamilyState:
    """What the kernel holds of one address family, as lines by chain."""

    family: int
    generation: int | None
    policies: dict[ChainKey, str]
    lines: dict[ChainKey, tuple[str, ...]]
    slots: dict[ChainKey, dict[str, SlotPlace]] = field(default_factory=dict)
    """Rules that stand in no line but in a set or map: by their text."""
    observed: dict[ChainKey, tuple[Rule, ...]] = field(default_factory=dict)
    """What was made of a chain's lines, until the chain changes."""

    @classmethod
    def of(cls, saved: Saved, generation: int | None) -> FamilyState:
        policies = {(chain.table, chain.name): chain.policy for chain in saved.chains}
        lines: dict[ChainKey, list[str]] = {key: [] for key in policies}
        slots: dict[ChainKey, dict[str, SlotPlace]] = {}
        for line in saved.lines:
            if line.via:
                slots.setdefault((line.table, line.chain), {})[line.text] = (line.via, line.slot)
            else:
                lines.setdefault((line.table, line.chain), []).append(line.text)
        return cls(saved.family, generation, policies, {key: tuple(found) for key, found in lines.items()}, slots)

    def set_lines(self, key: ChainKey, lines: tuple[str, ...], slots: dict[str, SlotPlace]) -> None:
        self.lines[key], self.slots[key] = lines, slots
        self.observed.pop(key, None)

    def remove_chain(self, key: ChainKey) -> None:
        for known in (self.policies, self.lines, self.slots, self.observed):
            known.pop(key, None)


def _chains(naming: Naming) -> tuple[str, ...]:
    return (naming.chain, naming.user_chain, naming.isolation_stage_1, naming.isolation_stage_2)


class RuleReader:
    """Knows which rules are ours, and reads no more often than it must."""

    def __init__(self, backend: Backend, naming: Naming, ledger: RuleLedger) -> None:
        self.backend = backend
        self.naming = naming
        self.ledger = ledger
        self._states: dict[int, FamilyState] = {}
        self._rules: dict[tuple[int, str, str], Rule] = {}

    def is_our_chain(self, family: int, name: str) -> bool:
        """By its name. Docker naming has chains of its own in IPv4 alone; those of CNM naming are ours under either."""
        if name in _chains(CNM_NAMING):
            return True
        return family == 4 and name in _chains(self.naming)

    def state(self, family: int) -> FamilyState:
        """What the kernel holds now: read anew unless the kernel says that nothing of it has changed since the last look."""
        known = self._states.get(family)
        if known is not None and known.generation is not None:
            known.generation = self.backend.untouched(known.generation)
        if known is None or known.generation is None:
            generation = self.backend.generation()
            known = FamilyState.of(self.backend.read(family), generation)
            self._states[family] = known
        return known

    def trust(self, before: int | None, after: int | None) -> None:
        """Our own writing took the kernel from one generation to the other: what was known of the first is known of the second.

        None for *after* means that somebody else wrote too, or that there is no such sign: everything is read again.
        """
        for state in self._states.values():
            if after is None:
                state.generation = None
            elif state.generation == before:
                state.generation = after

    def forget(self) -> None:
        """Read everything again at the next look."""
        self._states.clear()

    def observe(self) -> Iterator[Resource]:
        """Every chain and rule of ours. A rule out of order has an empty rank, one that stands twice two copies."""
        for family in FAMILIES:
            state = self.state(family)
            for table, name in sorted(state.policies):
                if state.policies[table, name] == "-" and self.is_our_chain(family, name):
                    yield Chain(family=family, table=table, name=name, handed_over=name in USER_CHAINS)
            for key in sorted(state.lines):
                if key not in state.observed:
                    state.observed[key] = tuple(self._observe_chain(state, key))
                yield from state.observed[key]

    def ranks(self, family: int, key: ChainKey, lines: Iterable[str]) -> dict[str, Rank]:
        """The ranks of those of *lines* that are ours."""
        found = {}
        for text in lines:
            rank = self.ledger.rank(family, key[0], text)
            if rank:
                found[text] = rank
        return found

    def is_ours(self, family: int, table: str, chain: str, text: str) -> bool:
        """By the comment, by the ledger, or (Docker naming) by the chain. The user chain is its user's."""
        if chain in USER_CHAINS:
            return False
        if TAG.search(text) or self.ledger.rank(family, table, text) is not None or self.backend.is_via(text):
            return True
        return not self.naming.comments and family == 4 and chain in _chains(self.naming)

    def remember(self, rules: Iterable[Rule]) -> None:
        """Rules whose lines need no parsing when they are read back."""
        for rule in rules:
            self._rules[rule.family, rule.table, rule.text] = rule

    def _observe_chain(self, state: FamilyState, key: ChainKey) -> Iterator[Rule]:
        """A rule in a slot is in order where the line that asks for it is."""
        table, chain = key
        family = state.family
        ours = [text for text in state.lines[key] if self.is_ours(family, table, chain, text)]
        slots = {text: via for text, (via, _) in state.slots.get(key, {}).items()}
        slotted = [text for text in slots if self.is_ours(family, table, chain, text)]
        if not ours and not slotted:
            return
        ranks = self.ranks(family, key, (*ours, *slotted))
        standing = in_order([(ranks[text], text) for text in ours if text in ranks])
        standing |= {text for text in slotted if text in ranks and slots[text] in standing}
        for text, copies in Counter([*(text for text in ours if not self.backend.is_via(text)), *slotted]).items():
            yield self._rule(family, table, text, ranks[text] if text in standing else (), copies)

    def _rule(self, family: int, table: str, text: str, rank: Rank, copies: int) -> Rule:
        known = self._rules.get((family, table, text))
        if known is None:
            known = parse_rule(text, family, table)
        if known.rank != rank or known.copies != copies:
            known = replace(known, rank=rank, copies=copies)
        self._rules[family, table, text] = known
        return known


def snapshot(flavour: str, ruleset: Ruleset | None = None, *, counters: bool = True) -> dict[str, Any]:
    """All rules of the host, foreign ones and every flavour included, with counters: what the firewall page shows.

    *ruleset* is what is known of nftables from earlier looks; *counters* are all of now, or in nftables as old as a table's last change.

    *flavour* is the one that we write. Tables of the legacy flavour that are not there are not made by looking. Ours are in iptables'
    words in every flavour, as in plans and drift; what others keep in nftables is in nft's words. ``native`` is everything that is in
    nftables and not iptables' own, ours too, as nft lists it: a trace follows what the kernel does, not what it is called.
    """
    rules: list[dict[str, Any]] = []
    chains: list[dict[str, Any]] = []
    native: list[dict[str, Any]] = []
    for name in (LEGACY, NFT):
        backend = backend_of(name)
        for family in FAMILIES:
            if backend.available(family):
                _add(chains, rules, name, _read_for_audit(backend, family))
    if backend_of(NFTABLES).available():
        ruleset = ruleset or Ruleset()
        shown = {(chain["family"], chain["table"]) for chain in chains if chain["flavour"] == NFT}
        native = ruleset.look(without=shown, counters=counters)
        for family in FAMILIES:
            _add(chains, rules, NFTABLES, ruleset.ours(family))
        for found, listed in zip((chains, rules), listing.foreign(native), strict=True):
            found += [{"flavour": NFTABLES, **item} for item in listed]
    more: dict[str, Any] = {}
    if any("--match-set" in rule["text"] for rule in rules):
        more["ipsets"] = [one.to_json() for one in observe_ipsets()]
    if any(DOCKERS in rule["chain"] or DOCKERS in rule["text"] for rule in rules if not rule["tag"]):
        more["docker"] = observe_docker()
    return {"flavour": flavour, "rules": rules, "chains": chains, "native": native, **more}


def _add(chains: list[dict[str, Any]], rules: list[dict[str, Any]], name: str, saved: Saved) -> None:
    chains += [
        {"flavour": name, "family": saved.family, "table": chain.table, "name": chain.name, "policy": chain.policy}
        | {"packets": chain.packets, "bytes": chain.bytes}
        for chain in saved.chains
    ]
    rules += described(name, saved)


def _read_for_audit(backend: Backend, family: int) -> Saved:
    """With counters: small IPv4 tables of the legacy flavour through python-iptables, all others through the backend's own program."""
    small = family == 4 and backend.flavour == LEGACY and 0 < legacy.count_entries() <= legacy.FEW_RULES
    if small:
        try:
            return legacy.read()
        except KernelRefused:
            log.info("python-iptables does not read this host's tables; iptables-save does", exc_info=True)
    return backend.read(family, counters=True)


def described(flavour: str, saved: Saved) -> Iterator[dict[str, Any]]:
    """The rules of one family. A line that only asks for rules in slots is left out: those stand there in its place."""
    positions: Counter[ChainKey] = Counter()
    asking = {line.via for line in saved.lines}
    for line in saved.lines:
        if line.text in asking:
            continue
        positions[line.table, line.chain] += 1
        tag = TAG.search(line.text)
        yield {
            "flavour": flavour,
            "family": saved.family,
            "table": line.table,
            "chain": line.chain,
            "text": line.text,
            "packets": line.packets,
            "bytes": line.bytes,
            "tag": tag[1] if tag else "",
            "position": positions[line.table, line.chain],
            "gathered": bool(line.via),
        }
