"""Firewall rules as data, in the vocabulary of iptables (iptables(8), iptables-extensions(8))."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .resources import Resource

Rank = tuple[int, ...]


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
    joined: bool = False
    """Whether the option belongs to the same ``-m`` as the match before it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What happens to a packet that matches: ``Target("DNAT", (("--to-destination", ("10.0.0.2:80",)),))``."""

    name: str = ""
    """A built-in verdict, an extension or a chain; empty: the rule only counts."""
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    goto: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Resource):
    """A user-defined chain of ours."""

    kind: ClassVar[str] = "chain"
    key_fields: ClassVar[tuple[str, ...]] = ("family", "table", "name")
    family: int
    table: str
    name: str
    handed_over: bool = field(default=False, compare=False)
    """The user chain: made once, with a lone RETURN in it, and the administrator's from then on. It is never written again, and
    taken away only while nothing else stands in it."""

    def describe(self) -> str:
        return f"{'ip6tables' if self.family == 6 else 'iptables'} -t {self.table} -N {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule(Resource):
    """One rule of ours, or (in an audit) of anybody.

    Two rules are equal when iptables-save prints them alike and they stand in the same place, as often.
    """

    kind: ClassVar[str] = "rule"
    key_fields: ClassVar[tuple[str, ...]] = ("family", "table", "chain", "text")
    family: int
    table: str
    chain: str
    matches: tuple[Match, ...] = ()
    target: Target = Target()
    rank: Rank = ()
    """Orders our own rules within a chain: smaller stands earlier. It is not a line number; foreign rules may stand between.
    An observed rule that stands out of this order has an empty rank."""
    anchor: str = "end"
    """``top``: the rule stands right below our own rule before it, or at the chain's top; ``end``: right above our own rule after
    it, or at the chain's end. It matters where foreign rules stand between ours."""
    copies: int = 1
    """How often it was found; compile always wants one."""
    _text: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """The rule as ``iptables-save`` prints it, from ``-A`` on; see :mod:`networks.cnm.iptables_text`."""
        if not self._text:
            object.__setattr__(self, "_text", iptables_text.render_rule(self))
        return self._text

    def _compose_key(self) -> tuple[str, ...]:
        return ("rule", str(self.family), self.table, self.chain, self.text)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Rule):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return (self.family, self.table, self.text, self.rank, self.copies)

    def spec(self) -> dict[str, str]:
        place = ".".join(map(str, self.rank)) if self.rank else "out of order"
        return {"text": self.text, "place": place, "copies": str(self.copies)}

    def describe(self) -> str:
        return f"{'ip6tables' if self.family == 6 else 'iptables'} -t {self.table} {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover(Resource):
    """A rule or chain of ours in a flavour that we do not write any more. It is only ever observed, never wanted."""

    kind: ClassVar[str] = "leftover"
    key_fields: ClassVar[tuple[str, ...]] = ("flavour", "family", "table", "text")
    flavour: str
    family: int
    table: str
    text: str
    item: Chain | Rule = field(compare=False)

    def describe(self) -> str:
        return f"{self.flavour}: {self.item.describe()}"


from . import iptables_text  # noqa: E402  # the two modules need each other: text is made of rules, and rules of text
