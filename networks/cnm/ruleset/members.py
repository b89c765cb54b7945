"""What a condition compares with: numbers in spans, device names, and keys made of several of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Generic, TypeVar

from networks.cnm.addresses import AnyNetwork

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The numbers from *low* to *high*, both included: addresses, ports, protocols and marks are numbers."""

    low: int
    high: int

    @classmethod
    def one(cls, number: int) -> Span:
        return cls(number, number)

    def covers(self, other: Span) -> bool:
        return self.low <= other.low and other.high <= self.high

    def meets(self, other: Span) -> bool:
        return self.low <= other.high and other.low <= self.high


Item = Span | str
"""A span, or a device name; a name that ends in ``*`` stands for all that begin so."""
Key = tuple[Item, ...]
"""One item, or several for a concatenation."""


def network_span(network: AnyNetwork) -> Span:
    return Span(int(network.network_address), int(network.broadcast_address))


def parse_network(text: str) -> tuple[int, Span]:
    """(IP version, span) of ``10.0.0.0/8``, of one address, or of ``10.0.0.1-10.0.0.9``. Raises :class:`ValueError`."""
    first, dash, last = text.partition("-")
    if dash:
        low, high = ip_address(first), ip_address(last)
        return low.version, Span(int(low), int(high))
    network = ip_network(text, strict=False)
    return network.version, network_span(network)


def item_covers(item: Item, value: Item) -> bool | None:
    """Whether *value* is among *item*; None where only a part of a span is."""
    if isinstance(item, str) or isinstance(value, str):
        if not isinstance(item, str) or not isinstance(value, str):
            return False
        return value.startswith(item[:-1]) if item.endswith("*") else value == item
    if item.covers(value):
        return True
    return None if item.meets(value) else False


@dataclass(frozen=True, slots=True, eq=False)
class Members(Generic[T]):
    """Keys, each with a value: a set (values None), a map or a verdict map.

    Exact keys are found by a look-up and spans of single numbers by bisection, so that a packet's way through a map of ten
    thousand ports costs as little as the kernel's.
    """

    entries: tuple[tuple[Key, T], ...]
    comments: Mapping[int, str] = field(default_factory=dict)
    """Place among the entries -> what its author wrote there; an element of ours has its owner's id."""
    _exact: dict[tuple[Any, ...], int] = field(default_factory=dict, repr=False)
    _spans: list[tuple[int, int, int]] = field(default_factory=list, repr=False)
    _others: list[int] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        for place, (key, _) in enumerate(self.entries):
            exact = tuple(item if isinstance(item, str) else item.low for item in key)
            if all(not item.endswith("*") if isinstance(item, str) else item.low == item.high for item in key):
                self._exact.setdefault(exact, place)
            elif len(key) == 1 and isinstance(key[0], Span):
                self._spans.append((key[0].low, key[0].high, place))
            else:
                self._others.append(place)
        self._spans.sort()

    @classmethod
    def of(cls, keys: Iterable[Key]) -> Members[None]:
        """A set."""
        return Members(tuple((key, None) for key in keys))

    def __iter__(self) -> Iterator[tuple[Key, T]]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, values: Key) -> tuple[bool | None, T | None]:
        """(whether *values* are a member, the value of that member); None: it depends on where in a span they lie."""
        found, place = self.place(values)
        return found, None if place is None else self.entries[place][1]

    def place(self, values: Key) -> tuple[bool | None, int | None]:
        """The same, with the member's place among the entries."""
        if all(isinstance(value, str) or value.low == value.high for value in values):
            exact = self._exact.get(tuple(value if isinstance(value, str) else value.low for value in values))
            if exact is not None:
                return True, exact
            return self._search(values, (*self._bisected(values), *self._others))
        return self._search(values, range(len(self.entries)))

    def _bisected(self, values: Key) -> tuple[int, ...]:
        value = values[0]
        if len(values) != 1 or isinstance(value, str):
            return ()
        at = bisect_right(self._spans, (value.low, 1 << 200, 0))
        # Spans of one set do not overlap, so the one that begins last before the value is the only one that may hold it.
        return (self._spans[at - 1][2],) if at else ()

    def _search(self, values: Key, places: Iterable[int]) -> tuple[bool | None, int | None]:
        perhaps = False
        for place in places:
            key, _ = self.entries[place]
            if len(key) != len(values):
                continue
            found = [item_covers(item, given) for item, given in zip(key, values, strict=True)]
            if all(found):
                return True, place
            perhaps = perhaps or False not in found
        return (None, None) if perhaps else (False, None)
