"""Chains, rules and sets of a host, in the kernel's own terms (nft(8), iptables(8))."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from .members import Key, Members, Span

LEGACY, IPTABLES_NFT, NATIVE = "iptables-legacy", "iptables-nft", "nftables"
FLAVOURS = (LEGACY, IPTABLES_NFT, NATIVE)
Index = TypeVar("Index")
ANY = 0
"""Either IP version, or every protocol."""


@dataclass(frozen=True, slots=True)
class Field:
    """Something that a packet has: ``daddr``, ``dport``, ``iifname``, ``ct.state``, ``ct.original.daddr``, ``fib.daddr.type``, …

    *family* (4, 6) and *protocol* (a number) say of which packets alone it is a part.
    """

    name: str
    family: int = ANY
    protocol: int = ANY
    mask: int | None = None
    """Applied before the comparison."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The rule goes on only where the fields are among the members (or, negated, are not)."""

    fields: tuple[Field, ...]
    members: Members[None]
    negated: bool = False
    bits: int | None = None
    """For flags (connection states, TCP flags): the field has any of these bits; the members are then not looked at."""


@dataclass(frozen=True, slots=True)
class Depends:
    """A condition that the packet alone does not decide: a rate, the time, chance, the sending user."""

    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A condition or an action that this model does not know; kept as its text."""

    name: str
    text: str = ""
    ends: bool = False
    """Whether it may decide the packet's fate, as a target does."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``accept``, ``drop``, ``reject``, ``return``, ``continue``, ``jump``, ``goto`` or ``stolen`` (queued)."""

    name: str
    chain: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VerdictMap:
    fields: tuple[Field, ...]
    members: Members[Verdict]


@dataclass(frozen=True, slots=True)
class Translation:
    """Another address (and port) for the packet's destination (``dnat``, ``redirect``) or source (``snat``, ``masquerade``)."""

    kind: str
    family: int = ANY
    addresses: Span | None = None
    """None: for ``redirect`` the receiving device's address, for ``masquerade`` the leaving one's."""
    ports: Span | None = None
    fields: tuple[Field, ...] = ()
    lookup: Members[Key] | None = None
    """Where the address (and port) come from a map: what *fields* find in it."""
    port_fields: tuple[Field, ...] = ()
    port_lookup: Members[Key] | None = None
    """Where the port comes from a map of its own."""


@dataclass(frozen=True, slots=True)
class SetMark:
    """Changes the packet's mark (``mark``) or the connection's (``ct.mark``): ``(old & ~mask) ^ value``."""

    which: str
    value: int = 0
    mask: int = 0xFFFFFFFF
    copy: str = ""
    """The other mark, where it is copied."""


@dataclass(frozen=True, slots=True)
class Untrack:
    """Keeps the packet out of connection tracking."""


@dataclass(frozen=True, slots=True)
class Note:
    """An action that does not change where the packet goes: counting, logging, clamping."""

    name: str


Statement = Condition | Depends | Unknown | Verdict | VerdictMap | Translation | SetMark | Untrack | Note
Read = Callable[[], tuple[Statement, ...]]


@dataclass(frozen=True, eq=False)
class Rule:
    """One rule. What it does (``statements``) is worked out when it is first asked for: an audit lists far more than it traces."""

    flavour: str
    family: str
    """``ip``, ``ip6``, ``inet``, ``bridge``, ``arp`` or ``netdev``."""
    table: str
    chain: str
    position: int
    """Counted from 1 in its chain."""
    text: str
    read: Read = field(repr=False)
    packets: int | None = None
    bytes: int | None = None
    handle: int | None = None
    comment: str = ""

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        return self.read()

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        return (self.flavour, self.family, self.table, self.chain, self.position)

    @property
    def opaque(self) -> bool:
        """Whether anything of it is not understood."""
        return any(isinstance(statement, Unknown) for statement in self.statements)


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A chain; a *base* chain has a hook."""

    flavour: str
    family: str
    table: str
    name: str
    type: str = "filter"
    """``filter``, ``nat`` or ``route``."""
    hook: str = ""
    """``prerouting``, ``input``, ``forward``, ``output``, ``postrouting``, ``ingress``, ``egress``; empty: no base chain."""
    priority: int = 0
    policy: str = ""
    """``accept`` or ``drop`` for a base chain."""
    devices: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    packets: int | None = None
    bytes: int | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        return (self.flavour, self.family, self.table)


@dataclass(frozen=True, slots=True, eq=False)
class NamedSet:
    """A set or map by name (an ipset has the flavour of both iptables)."""

    flavour: str
    family: str
    table: str
    name: str
    type: str
    members: Members[Any] | None
    """None: not understood; *text* has it whole."""
    text: str = ""


@dataclass(frozen=True, eq=False)
class Ruleset:
    """All chains, sets and whatever else stands in a host's firewall."""

    chains: tuple[Chain, ...] = ()
    sets: tuple[NamedSet, ...] = ()
    opaque: tuple[str, ...] = ()
    """Objects that are neither (quotas, flow tables, helpers …), as they were printed."""

    @classmethod
    def joined(cls, parts: Iterable[Ruleset]) -> Ruleset:
        listed = list(parts)
        return cls(
            tuple(chain for part in listed for chain in part.chains),
            tuple(found for part in listed for found in part.sets),
            tuple(text for part in listed for text in part.opaque),
        )

    @cached_property
    def by_name(self) -> Mapping[tuple[str, str, str, str], Chain]:
        """(flavour, family, table, name) -> chain."""
        return {(*chain.place, chain.name): chain for chain in self.chains}

    @cached_property
    def at_hook(self) -> Mapping[str, list[Chain]]:
        """Hook -> base chains that have something to say there."""
        found: dict[str, list[Chain]] = {}
        for chain in self.chains:
            if chain.hook and (chain.rules or chain.policy == "drop"):
                found.setdefault(chain.hook, []).append(chain)
        return found

    @cached_property
    def _indexes(self) -> dict[int, Any]:
        return {}

    def index(self, chain: Chain, make: Callable[[Chain], Index]) -> Index:
        """What *make* makes of *chain*, made once and kept with these rules."""
        found = self._indexes.get(id(chain))
        if found is None:
            found = self._indexes[id(chain)] = make(chain)
        return found

    def rules(self) -> Iterable[Rule]:
        return (rule for chain in self.chains for rule in chain.rules)

    def flavours(self) -> tuple[str, ...]:
        """The flavours in which rules stand (a chain with no rule and an accepting policy does not count)."""
        found = {chain.flavour for chain in self.chains if chain.rules or chain.policy == "drop"}
        return tuple(flavour for flavour in FLAVOURS if flavour in found)
