"""Plans: the ordered steps that take the kernel from what is to what should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .resources import Key, Resource


class Action(StrEnum):
    """What a step does to its resource."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """One write. *after* is None for a deletion, *before* is None for a creation."""

    before: Resource | None
    after: Resource | None

    @property
    def action(self) -> Action:
        if self.before is None:
            return Action.CREATE
        return Action.DELETE if self.after is None else Action.CHANGE

    @property
    def resource(self) -> Resource:
        """The resource that the step is about: as it will be, or as it was when it goes."""
        resource = self.after if self.after is not None else self.before
        assert resource is not None  # noqa: S101  # a step about nothing is never made
        return resource

    @property
    def kind(self) -> str:
        return self.resource.kind

    @property
    def key(self) -> Key:
        return self.resource.key

    def inverse(self) -> Step:
        return Step(self.after, self.before)

    def difference(self) -> dict[str, tuple[str, str]]:
        """For a change: field -> (before, after)."""
        if self.before is None or self.after is None:
            return {}
        before, after = self.before.spec(), self.after.spec()
        return {name: (before[name], after[name]) for name in after if before[name] != after[name]}

    def describe(self) -> str:
        return f"{self.action} {self.resource.describe()}"

    def to_json(self) -> dict[str, Any]:
        value = self.resource.to_json() | {"action": str(self.action)}
        if self.action is Action.CHANGE:
            value["difference"] = {name: list(pair) for name, pair in self.difference().items()}
            value["before"] = self.before.describe() if self.before else ""
        return value


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which they are carried out. An empty plan is false: there is nothing to do."""

    steps: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def summary(self) -> dict[str, int]:
        """How many steps of each action: ``{"create": 9, "change": 0, "delete": 2}``."""
        counts = Counter(str(step.action) for step in self.steps)
        return {str(action): counts[str(action)] for action in Action}

    def to_json(self) -> dict[str, Any]:
        return {"summary": self.summary(), "steps": [step.to_json() for step in self.steps]}


def reversed_steps(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps that undo *steps*, last first."""
    return tuple(step.inverse() for step in reversed(steps))
