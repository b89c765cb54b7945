"""Findings of one host: what was last seen, against what compile wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from networks import audit
from networks.cnm import findings as pure
from networks.cnm.findings import Finding
from networks.cnm.iptables_text import parse_save
from networks.cnm.rules import Rule
from networks.cnm.ruleset.ipsets import parse_ipsets
from networks.cnm.ruleset.iptables import native_names, of_saved
from networks.cnm.ruleset.model import IPTABLES_NFT, LEGACY, Ruleset
from networks.cnm.ruleset.nftables import parse_ruleset
from networks.load import load_facts, load_host
from networks.models import Host, Observation
from networks.observed import load_observed
from worker.compile import compile_host

_FAMILIES = {4: "ip", 6: "ip6"}


def findings(host: Host) -> list[Finding]:
    """What the admin of *host* should know; nothing before the worker's first look.

    Looked for anew only when rules (their counters aside), network or desired state have changed.
    """
    seen = dict(Observation.objects.filter(host=host).values_list("kind", "generation"))
    state = (seen.get("rules"), seen.get("world"), *audit.state_of(host)[1:])
    kept = _kept.get(host.pk)
    if kept is None or kept[0] != state:
        kept = _kept[host.pk] = (state, _find(host))
    return list(kept[1])


_kept: dict[int, tuple[tuple[Any, ...], list[Finding]]] = {}
"""The last answer for each host, with what it was made of."""


def _find(host: Host) -> list[Finding]:
    observed = load_observed(host)
    if not observed.complete:
        return []
    desired = load_host(host)
    wanted = compile_host(desired, load_facts(host))
    ours = frozenset(
        (flavour, _FAMILIES[rule.family], rule.table, rule.chain, rule.text)
        for rule in wanted
        if isinstance(rule, Rule)
        for flavour in (LEGACY, IPTABLES_NFT)
    )
    return pure.find_all(observed.ruleset, observed.world, desired, ours)


@dataclass(frozen=True, slots=True)
class Dump:
    """What somebody saved of a host: the outputs of programs, each empty where there is none."""

    iptables_save: str = ""
    ip6tables_save: str = ""
    nft: str = ""
    ipset: str = ""
    """What ``ipset save`` printed."""
    flavour: str = LEGACY
    """The flavour of the two iptables texts."""

    def read(self) -> Ruleset:
        """Everything as one model. Raises InvalidSpec for what is not nft's JSON, ValueError for what is no rule."""
        saved = [parse_save(self.iptables_save, 4), parse_save(self.ip6tables_save, 6)]
        shown = frozenset[tuple[str, str]]()
        if self.flavour == IPTABLES_NFT:
            shown = native_names(saved[0]) | native_names(saved[1])
        sets = {one.name: one for one in parse_ipsets(self.ipset)}
        parts = [of_saved(one, self.flavour, sets) for one in saved]
        return Ruleset.joined([*parts, parse_ruleset(self.nft, shown)])


def findings_of_dump(dump: Dump) -> tuple[Ruleset, list[Finding]]:
    """The rules of *dump*, and what can be said of them without the host."""
    ruleset = dump.read()
    return ruleset, pure.find_all(ruleset)
