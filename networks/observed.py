"""What the worker last saw of a host, as values: everybody's rules, and the network that packets meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from networks.cnm.names import sandbox_name
from networks.cnm.ruleset import ipsets, iptables
from networks.cnm.ruleset.model import NATIVE, Chain, Rule, Ruleset
from networks.cnm.ruleset.nftables import of_items
from networks.cnm.trace import world as worlds
from networks.cnm.trace.steps import Step
from networks.cnm.trace.world import Sandbox, World
from networks.models import Container, Host, Observation

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """One host's rules and network, and when each was seen (None: never)."""

    ruleset: Ruleset
    world: World
    rules_at: datetime | None
    world_at: datetime | None

    @property
    def at(self) -> datetime | None:
        """When the older half was seen; None while one is missing."""
        return min(self.rules_at, self.world_at) if self.rules_at is not None and self.world_at is not None else None

    @property
    def complete(self) -> bool:
        return self.at is not None


def load_observed(host: Host) -> Observed:
    """Two queries, and one for the containers' names."""
    seen = {row.kind: row for row in Observation.objects.filter(host=host, kind__in=["rules", "world"])}
    rules, network = seen.get("rules"), seen.get("world")
    return Observed(
        ruleset_of(rules.data) if rules is not None else Ruleset(),
        _named(worlds.from_json(network.data if network is not None else {}), host),
        rules.at if rules is not None else None,
        network.at if network is not None else None,
    )


def ruleset_of(data: Mapping[str, Any]) -> Ruleset:
    """The rules that an observation holds."""
    rules: dict[tuple[str, int, str, str], list[Rule]] = {}
    sets = ipsets.from_json(data.get("ipsets", ()))
    for row in data.get("rules", ()):
        if row["flavour"] != NATIVE:
            key = (row["flavour"], row["family"], row["table"], row["chain"])
            of_chain = rules.setdefault(key, [])
            text, packets, octets = row["text"], row["packets"], row["bytes"]
            of_chain.append(iptables.make_rule(*key, len(of_chain) + 1, text, packets, octets, sets))
    chains = [
        iptables.make_chain(
            row["flavour"],
            row["family"],
            row["table"],
            row["name"],
            row["policy"],
            rules.get((row["flavour"], row["family"], row["table"], row["name"]), ()),
            row["packets"],
            row["bytes"],
        )
        for row in data.get("chains", ())
        if row["flavour"] != NATIVE
    ]
    return Ruleset.joined([Ruleset(tuple(chains)), of_items(data.get("native", ()))])


class Rows:
    """The audit's rows (text, owner, why, whose), by the rules of the model.

    What is ours in nftables is shown in iptables' words, and what stands in maps and sets there as the rules that it means: such a row
    is found by its owner's id, which stands beside the element.
    """

    def __init__(self, rows: Iterable[dict[str, Any]], ruleset: Ruleset) -> None:
        self._rows: dict[tuple[str, str, str, str, int], dict[str, Any]] = {}
        self._gathered: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        direct: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for row in rows:
            family = _FAMILIES.get(row["family"], "")
            if row["flavour"] != NATIVE:
                self._rows[row["flavour"], family, row["table"], row["chain"], row["position"]] = row
            elif row.get("gathered"):
                self._gathered.setdefault((family, row["table"], row["chain"], row["tag"]), row)
            else:
                direct.setdefault((family, row["table"], row["chain"]), []).append(row)
        for chain in ruleset.chains:
            if chain.flavour == NATIVE:
                standing = [rule for rule in chain.rules if not _is_lookup(rule)]
                for rule, row in zip(standing, direct.get(_rows_of(chain), ()), strict=False):
                    self._rows[rule.key] = row

    def of(self, step: Step | None) -> dict[str, Any] | None:
        """The row of the rule of *step*."""
        if step is None or step.rule is None:
            return None
        rule = step.rule
        if _is_lookup(rule):
            table, chain = _iptables_place(rule.chain)
            return self._gathered.get((rule.family, table, chain, step.element))
        return self._rows.get(rule.key)


OUR_TABLE = "cnm"
_FAMILIES = {4: "ip", 6: "ip6"}
_PREFIXES = ("raw", "mangle", "nat", "security")


def _is_lookup(rule: Rule) -> bool:
    """Whether *rule* is one of ours that asks sets and maps, and so stands for all that is in them."""
    return rule.flavour == NATIVE and rule.table == OUR_TABLE and not rule.comment and "@" in rule.text


def _iptables_place(chain: str) -> tuple[str, str]:
    """(table, chain) that a chain of our table stands for: ``nat-CNM`` is CNM of nat, any without such a prefix of filter."""
    table, dash, name = chain.partition("-")
    return (table, name) if dash and table in _PREFIXES else ("filter", chain)


def _rows_of(chain: Chain) -> tuple[str, str, str]:
    """The (family, table, chain) under which the audit's rows have the rules of a native chain."""
    family = chain.family if chain.family in _FAMILIES.values() else ""
    if chain.table == OUR_TABLE and family:
        return (family, *_iptables_place(chain.name))
    return (family, chain.table if family else f"{chain.family} {chain.table}", chain.name)


def _named(world: World, host: Host) -> World:
    """*world* with its sandboxes' containers."""
    containers = Container.objects.filter(host=host).values_list("pk", "name")
    by_sandbox = {sandbox_name(pk): (pk, name) for pk, name in containers}

    def named(sandbox: Sandbox) -> Sandbox:
        pk, name = by_sandbox.get(sandbox.name, ("", ""))
        return replace(sandbox, container_id=pk, container=name)

    return replace(world, sandboxes=tuple(named(sandbox) for sandbox in world.sandboxes))
