"""All handlers of one host as one thing that is observed and written: the only caller of ``Handler.apply``."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from networks.cnm.errors import CnmError, KernelRefused
from networks.cnm.plan import Plan, Step, reversed_steps
from networks.cnm.resources import Key, Owner, Resource
from networks.cnm.text import gettext_noop

from .handler import Handler
from .order import stage

log = logging.getLogger(__name__)

Progress = Callable[[Step], None]


@dataclass(slots=True)
class Applied:
    """What became of a plan.

    Steps of ``done`` may also be in ``undone``, or in ``left`` where they could not be undone; the rest was not tried.
    """

    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)
    left: list[Step] = field(default_factory=list)
    failed: list[tuple[Step, CnmError]] = field(default_factory=list)

    @property
    def error(self) -> CnmError | None:
        return self.failed[0][1] if self.failed else None


class Machine:
    """The handlers of one host."""

    def __init__(self, handlers: Iterable[Handler]) -> None:
        self._by_kind: dict[str, Handler] = {}
        for handler in handlers:
            for kind in handler.kinds:
                if kind in self._by_kind:
                    raise ValueError(f"Two handlers look after {kind}.")
                self._by_kind[kind] = handler

    def observe(self, keys: Collection[Key] | None, whole: Collection[str] = ()) -> tuple[Resource, ...]:
        """What exists now of *keys* and of the *whole* kinds, or (None) everything of ours."""
        if keys is None:
            return tuple(found for handler in dict.fromkeys(self._by_kind.values()) for found in handler.observe(None))
        wanted: dict[Handler, list[Key]] = defaultdict(list)
        for key in keys:
            wanted[self._by_kind[key[0]]].append(key)
        complete = dict.fromkeys(self._by_kind[kind] for kind in whole)
        found = [item for handler, mine in wanted.items() if handler not in complete for item in handler.observe(mine)]
        return tuple(found) + tuple(item for handler in complete for item in handler.observe(None))

    def apply(self, plan: Plan, progress: Progress = lambda step: None) -> Applied:
        """Carry out *plan*, whole or not at all: when a step fails, the steps before it are undone, last first."""
        applied = Applied()
        try:
            for handler, steps in self._batches(plan.steps):
                self._write(handler, steps, applied.done, progress)
        except _StepFailed as failure:
            applied.failed.append((failure.step, failure.error))
            self.undo(applied)
        return applied

    def apply_what_can_be(
        self,
        plan: Plan,
        party: Callable[[Owner], str],
        progress: Progress = lambda step: None,
        broken: set[str] | None = None,
    ) -> Applied:
        """Carry out *plan* for every party that it can be carried out for.

        A full pass must not let one broken container keep all others down: the party of a step that fails (*party*
        tells which network or container an owner belongs to) has its later steps left out, and the others' go on. *broken*
        are parties of which a step failed before, and afterwards those of now as well.
        """
        applied = Applied()
        broken = set() if broken is None else broken
        for handler, batch in self._batches(plan.steps):
            steps = [step for step in batch if party(step.resource.owner) not in broken]
            while steps:
                before = len(applied.done)
                try:
                    self._write(handler, steps, applied.done, progress)
                    break
                except _StepFailed as failure:
                    applied.failed.append((failure.step, failure.error))
                    broken.add(party(failure.step.resource.owner))
                    finished = set(map(id, applied.done[before:])) | {id(failure.step)}
                    steps = [s for s in steps if id(s) not in finished and party(s.resource.owner) not in broken]
        return applied

    def _batches(self, steps: Sequence[Step]) -> Iterator[tuple[Handler, list[Step]]]:
        for _, same_stage in groupby(steps, key=stage):
            by_handler: dict[Handler, list[Step]] = defaultdict(list)
            for step in same_stage:
                by_handler[self._by_kind[step.kind]].append(step)
            yield from by_handler.items()

    @staticmethod
    def _write(handler: Handler, steps: Sequence[Step], done: list[Step], progress: Progress) -> None:
        finished: set[int] = set()

        def report(step: Step) -> None:
            finished.add(id(step))
            done.append(step)
            progress(step)

        try:
            handler.apply(steps, report)
        except Exception as error:  # a defect of ours must leave no more behind than a refusal of the kernel
            left = [step for step in steps if id(step) not in finished] or [steps[-1]]
            # A handler that batches may have left earlier steps untried: the error itself knows best which one failed.
            named = getattr(error, "facts", {}).get("key")
            failed = next((step for step in left if list(step.key) == named), left[0])
            raise _StepFailed(failed, _in_words(error, failed)) from error

    def undo(self, applied: Applied) -> None:
        """Undo what was done, last first; *applied* learns what is undone, and what is left."""
        original = {step.key: step for step in applied.done}  # a plan has one step a key
        undoing = sorted(reversed_steps(applied.done), key=stage)
        undone: list[Step] = []
        for handler, steps in self._batches(undoing):
            try:
                self._write(handler, steps, undone, lambda step: None)
            except _StepFailed:
                continue  # what stays is reported as left; the next pass takes it away
        finished = set(map(id, undone))
        for undo in undoing:
            (applied.undone if id(undo) in finished else applied.left).append(original[undo.key])


class _StepFailed(Exception):
    def __init__(self, step: Step, error: CnmError) -> None:
        super().__init__(str(error))
        self.step = step
        self.error = error


def _in_words(error: Exception, step: Step) -> CnmError:
    if isinstance(error, CnmError):
        return error
    if not isinstance(error, OSError):
        log.error("%s met a defect of ours", step.describe(), exc_info=error)
    return KernelRefused(
        gettext_noop("{step} failed: {cause}."),
        remedy=gettext_noop("Look at the host's page for what this kernel lacks, then repair or delete the object."),
        step=step.describe(),
        cause=str(error) or type(error).__name__,
        facts={"errno": getattr(error, "errno", None), "key": list(step.key)},
    )
