"""Starting and ending containers' processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice

from networks.cnm.errors import CnmError
from networks.cnm.plan import Step
from networks.cnm.resources import Key, Process, Resource
from worker.observe.processes import observe_processes
from worker.runtime.exits import Exit, consume, scan
from worker.runtime.runtime import Begun, Runtime

AT_ONCE = max(2, os.cpu_count() or 1)
"""How many containers the runtime makes at the same time."""


class ProcessesHandler:
    """Looks after the processes of containers."""

    kinds = frozenset({Process.kind})

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        return observe_processes(self.runtime.folders, keys)

    def apply(self, steps: Sequence[Step], done: Callable[[Step], None]) -> None:
        """Deletions one by one, starts a few at a time. When one fails the others of its moment are still finished."""
        for step in steps:
            if step.after is None:
                self.runtime.delete(_process(step).container_id)
                done(step)
        starts = iter([step for step in steps if step.after is not None])
        while batch := list(islice(starts, AT_ONCE)):
            self._start(batch, done)

    def exits(self) -> Iterator[Exit]:
        """Every process that ended, once: an end is forgotten when the caller comes back for the next."""
        for ended in scan(self.runtime.folders, self.runtime.cgroups):
            yield ended
            consume(self.runtime, ended)

    def remove_container(self, container_id: str) -> None:
        """Delete everything of a container that was removed for good."""
        self.runtime.remove_container(container_id)

    def _start(self, steps: Sequence[Step], done: Callable[[Step], None]) -> None:
        errors: dict[int, Exception] = {}
        begun: dict[int, Begun | None] = {}
        for number, step in enumerate(steps):
            try:
                begun[number] = None if self._runs(_process(step)) else self.runtime.begin(_process(step))
            except (CnmError, OSError) as error:
                errors[number] = error
                break
        for number, half in begun.items():
            try:
                if half is not None:
                    self.runtime.finish(half)
                done(steps[number])
            except (CnmError, OSError) as error:
                errors[number] = error
        if errors:
            raise errors[min(errors)]  # the first step that is not done is the one that the error belongs to

    def _runs(self, process: Process) -> bool:
        return process in set(observe_processes(self.runtime.folders, [process.key]))


def _process(step: Step) -> Process:
    resource = step.resource
    if not isinstance(resource, Process):
        raise TypeError(f"{resource.describe()} is no process.")
    return resource
