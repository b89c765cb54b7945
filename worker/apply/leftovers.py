"""Taking away our rules and chains that stand in another flavour than the one that is written: what a move leaves behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from networks.cnm.names import Naming
from networks.cnm.plan import Step
from networks.cnm.resources import Key, Resource
from networks.cnm.rules import Leftover
from worker.firewall.backend import Backend
from worker.handler import Done
from worker.observe.leftovers import leftover, standing

from .rules import RulesHandler


class LeftoversHandler:
    """Looks after every backend of a host but the one that is written.

    What is ours is known there by its comment or its chain: the ledger speaks of the rules that are written now.
    """

    kinds = frozenset({"leftover"})

    def __init__(self, backends: Iterable[Backend], naming: Naming, run_dir: Path) -> None:
        self._handlers = {
            backend.flavour: RulesHandler(backend, naming, run_dir, ledger=f"left-{backend.flavour}.json")
            for backend in backends
        }

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """What of ours stands in the other flavours."""
        found = [
            leftover(flavour, item) for flavour, handler in self._handlers.items() for item in standing(handler.reader)
        ]
        return found if keys is None else [item for item in found if item.key in keys]

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """Take them away, or (undoing that) put them back: one transaction for each table."""
        by_flavour: dict[str, list[Step]] = defaultdict(list)
        for step in steps:
            assert isinstance(step.resource, Leftover)  # noqa: S101  # the kind that this handler looks after
            by_flavour[step.resource.flavour].append(step)
        for flavour, mine in by_flavour.items():
            self._handlers[flavour].apply([_inner(step) for step in mine], lambda step: None)
            for step in mine:
                done(step)


def _inner(step: Step) -> Step:
    before, after = step.before, step.after
    return Step(
        before.item if isinstance(before, Leftover) else None, after.item if isinstance(after, Leftover) else None
    )
