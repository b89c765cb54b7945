"""Firewall rules as data, in the vocabulary of iptables (iptables(8), iptables-extensions(8))."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .resources import Resource


@dataclass(frozen=True, slots=True)
class Match:
    """One condition: ``-s 10.0.0.0/8`` is ``Match("", "-s", ("10.0.0.0/8",))``; ``! -i br0`` is negated;
    ``-m tcp --dport 80`` is ``Match("tcp", "--dport", ("80",))``.

    A module that was loaded with no option of its own has an empty ``option``.
    """

    module: str
    option: str
    values: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What happens to a packet that matches: ``Target("DNAT", (("--to-destination", ("10.0.0.2:80",)),))``."""

    name: str = ""
    """A built-in verdict, an extension or a chain; empty: the rule only counts."""
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    goto: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Resource):
    """A user-defined chain of ours. The user chain (``CNM-USER``) is made once and never written again."""

    kind: ClassVar[str] = "chain"
    key_fields: ClassVar[tuple[str, ...]] = ("family", "table", "name")
    family: int
    table: str
    name: str

    def describe(self) -> str:
        return f"{'ip6tables' if self.family == 6 else 'iptables'} -t {self.table} -N {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Resource):
    """One rule of ours, or (in an audit) of anybody.

    ``rank`` orders our own rules within a chain: smaller stands earlier. It is not a line number; foreign rules may stand
    between. ``anchor`` says where a rule goes when none of ours is there to stand beside: at the chain's top or its end.
    """

    kind: ClassVar[str] = "rule"
    key_fields: ClassVar[tuple[str, ...]] = ("family", "table", "chain", "text")
    family: int
    table: str
    chain: str
    matches: tuple[Match, ...] = ()
    target: Target = Target()
    rank: tuple[int, ...] = field(default=(), compare=False)
    anchor: str = field(default="end", compare=False)

    @property
    def text(self) -> str:
        """The rule as ``iptables-save`` prints it, from ``-A`` on; see :mod:`networks.cnm.iptables_text`."""
        from .iptables_text import render_rule  # the two modules need each other: text is made of rules

        return render_rule(self)

    def describe(self) -> str:
        return f"{'ip6tables' if self.family == 6 else 'iptables'} -t {self.table} {self.text}"
