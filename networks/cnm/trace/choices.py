"""Following both outcomes of what cannot be decided: a walk asks, and is walked again with the other answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
MOST_WALKS = 128
"""Beyond that many ways through undecided conditions the answer is undecidable anyway."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One undecided condition and the outcome that was taken for it."""

    name: str
    """The match, in the rule's own words."""
    where: str
    """The rule."""
    taken: bool
    modelled: bool
    """True: known, and dependent on more than the packet; False: not modelled."""


class Choices:
    """The outcomes of one walk: those prescribed, then "does not hold" for every further condition."""

    def __init__(self, prescribed: tuple[bool, ...] = ()) -> None:
        self._prescribed = prescribed
        self.made: list[Choice] = []

    def ask(self, name: str, where: str, *, modelled: bool) -> bool:
        at = len(self.made)
        taken = self._prescribed[at] if at < len(self._prescribed) else False
        self.made.append(Choice(name, where, taken, modelled))
        return taken


def every_way(walk: Callable[[Choices], T]) -> Iterator[tuple[T, tuple[Choice, ...]]]:
    """The result of *walk* for every combination of outcomes that it comes to ask about, at most :data:`MOST_WALKS`."""
    waiting: list[tuple[bool, ...]] = [()]
    count = 0
    while waiting and count < MOST_WALKS:
        prescribed = waiting.pop()
        choices = Choices(prescribed)
        result = walk(choices)
        count += 1
        made = tuple(choices.made)
        yield result, made
        taken = tuple(choice.taken for choice in made)
        waiting += [(*taken[:at], True) for at in range(len(prescribed), len(taken))]
