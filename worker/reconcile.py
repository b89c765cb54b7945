"""The mechanism: load, compile, observe, diff, apply, settle. Runs in the single kernel process of a host."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from networks import feed, settle
from networks.cnm.desired import Host as DesiredHost
from networks.cnm.errors import CnmError, Conflict
from networks.cnm.plan import Plan, Step
from networks.cnm.resources import EtcFile, Key, PortReservation, Process, Resource
from networks.host_ports import move_on
from networks.load import load_both, load_facts
from networks.models import Container, Host, Operation

from .apply.processes import ProcessesHandler
from .compile import compile_host
from .diff import diff
from .machine import Applied, Machine
from .scope import WHOLE_KINDS, Scope, party

log = logging.getLogger(__name__)

PORT_TRIES = 64
"""How many host ports in a row may be lost to other programs before a published port counts as failed."""
PROGRESS_INTERVAL_S = 0.25
"""How often at most the operation's row is told how far its plan is."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """One look at the desired state."""

    kept: DesiredHost
    """The host as if nothing were being removed."""
    wanted: tuple[Resource, ...]
    known: tuple[Resource, ...]
    """What *kept* compiles to: the keys of what is to go are among these."""


class Reconciler:
    """Takes one host's kernel to what its rows ask for."""

    def __init__(self, host: Host, machine: Machine, processes: ProcessesHandler) -> None:
        self.host = host
        self.machine = machine
        self.processes = processes
        self._applied: dict[Key, Resource] = {}

    @property
    def applied(self) -> tuple[Resource, ...]:
        """What the kernel was last taken to, without what failed: drift is measured against this."""
        return tuple(self._applied.values())

    def compile(self) -> Compiled:
        facts = load_facts(self.host)
        desired, kept = load_both(self.host)
        wanted = compile_host(desired, facts)
        return Compiled(kept, wanted, wanted if kept == desired else compile_host(kept, facts))

    def run(self, operation: Operation) -> Applied:
        """Carry out *operation* and settle it: done, or failed with what was undone and what is left."""
        scope = Scope.from_json(operation.scope)
        tried: dict[str, set[int]] = {}
        while True:
            try:
                compiled = self.compile()
                plan = self.plan(compiled, scope)
                applied = self._apply(operation, plan, compiled, scope)
            except CnmError as error:
                log.exception("operation %s failed before its first step", operation.number)
                settle.settle(operation, failed=error)
                return Applied()
            if not self._moved_on(applied, tried):
                break
        self._remember(compiled, scope, applied)
        self._settle(operation, plan, applied, compiled)
        return applied

    def repair(self, operation: Operation, keys: set[Key] | None) -> Applied:
        """Mend the drift of *keys* (None: all of it). Statuses stay: nothing is decided anew."""
        compiled = self.compile()
        whole = self.plan(compiled, Scope(everything=True))
        plan = whole if keys is None else Plan(tuple(step for step in whole if step.key in keys))
        applied = self.machine.apply_what_can_be(plan, party(compiled.kept), _progress(operation, plan))
        if keys is None:
            self._remember(compiled, Scope(everything=True), applied)
        operation.plan = _plan_json(plan, applied)
        operation.done_steps, operation.total_steps = len(applied.done), len(plan)
        settle.end_only(operation, failed=_failure(applied))
        return applied

    def plan(self, compiled: Compiled, scope: Scope) -> Plan:
        """What would take the kernel to *compiled*, within *scope*."""
        if scope.everything:
            return diff(compiled.wanted, self.machine.observe(None))
        keys = scope.keys(compiled.kept, (*compiled.wanted, *compiled.known))
        wanted = [r for r in compiled.wanted if r.key in keys or r.kind in WHOLE_KINDS]
        return diff(wanted, self.machine.observe(keys, whole=WHOLE_KINDS))

    def remember_all(self, compiled: Compiled) -> None:
        """The kernel was seen to be as *compiled* asks."""
        self._applied = {resource.key: resource for resource in compiled.wanted}

    def _apply(self, operation: Operation, plan: Plan, compiled: Compiled, scope: Scope) -> Applied:
        progress = _progress(operation, plan)
        if scope.everything:
            return self.machine.apply_what_can_be(plan, party(compiled.kept), progress)
        return self.machine.apply(plan, progress)

    def _moved_on(self, applied: Applied, tried: dict[str, set[int]]) -> bool:
        """Whether a host port of nobody's choice, lost to another program meanwhile, was exchanged for the next free one.

        *tried* are the host ports that were lost so, by published port. What was done of the plan is undone by then.
        """
        lost = [
            step.resource
            for step, error in applied.failed
            if isinstance(step.resource, PortReservation) and isinstance(error, Conflict)
        ]
        moved = False
        for resource in lost:
            refused = tried.setdefault(resource.owner.id, set())
            refused.add(resource.host_port)
            if len(refused) <= PORT_TRIES:
                moved |= move_on(self.host, resource.owner.id, refused, load_facts(self.host))
        return moved

    def _remember(self, compiled: Compiled, scope: Scope, applied: Applied) -> None:
        if scope.everything or not self._applied:
            self.remember_all(compiled)
        else:
            keys = scope.keys(compiled.kept, (*compiled.wanted, *compiled.known))
            whole = {resource.key for resource in compiled.wanted if resource.kind in WHOLE_KINDS}
            stale = [k for k in self._applied if k in keys or (k[0] in WHOLE_KINDS and k not in whole)]
            for key in stale:
                del self._applied[key]
            self._applied |= {r.key: r for r in compiled.wanted if r.key in keys or r.key in whole}
        if applied.failed:
            for step in (*applied.undone, *(step for step, _ in applied.failed)):
                self._applied.pop(step.key, None)
                if step.before is not None:
                    self._applied[step.key] = step.before

    def _settle(self, operation: Operation, plan: Plan, applied: Applied, compiled: Compiled) -> None:
        operation.plan = _plan_json(plan, applied)
        operation.done_steps, operation.total_steps, operation.step = len(applied.done), len(plan), ""
        failed = _failure(applied)
        if operation.scope.get("all") and failed is not None:
            belongs = party(compiled.kept)
            settle.mark_failed(self.host, {belongs(step.resource.owner): error for step, error in applied.failed})
        if failed is None:
            self._forget_removed(operation)
        with feed.transaction(settle.ACTOR):  # one transaction, so that each object is described once
            self._note(applied)
            settle.settle(operation, failed=failed)

    def _note(self, applied: Applied) -> None:
        """Tell the rows what was seen on the way: process ids, and what the three files hold."""
        undone = set(map(id, applied.undone))
        files: dict[str, dict[str, str]] = {}
        pids: dict[str, int] = {}
        for step in applied.done:
            after = step.after
            if after is None or id(step) in undone:
                continue
            if isinstance(after, EtcFile):
                files.setdefault(after.container_id, {})[after.name] = after.content
            elif isinstance(after, Process):
                pids[after.container_id] = self.processes.runtime.state(after.container_id).pid
        if files or pids:
            settle.note(self.host, files, pids)

    def _forget_removed(self, operation: Operation) -> None:
        """Delete the files of containers that are gone for good; then nothing of them is left but the log of what was done."""
        gone = Container.objects.filter(pk__in=operation.scope.get("containers", []), wanted="removed")
        for container_id in gone.values_list("pk", flat=True):
            self.processes.remove_container(container_id)


def _progress(operation: Operation, plan: Plan) -> Callable[[Step], None]:
    """Tells the operation's row how far the plan is, now and then."""
    last = time.monotonic()
    count = 0

    def report(step: Step) -> None:
        nonlocal last, count
        count += 1
        now = time.monotonic()
        if now - last < PROGRESS_INTERVAL_S:
            return
        last = now
        operation.done_steps, operation.total_steps, operation.step = count, len(plan), step.describe()[:500]
        with feed.transaction("worker"):
            operation.save(update_fields=["done_steps", "total_steps", "step"])
            feed.put("operation", operation)

    return report


def _failure(applied: Applied) -> CnmError | None:
    """The error of the first step that failed, with what was undone and what is left."""
    if applied.error is None:
        return None
    error = applied.error
    error.facts = error.facts | {
        "failed": [step.describe() for step, _ in applied.failed],
        "undone": [step.describe() for step in applied.undone],
        "left": [step.describe() for step in applied.left],
    }
    return error


def _plan_json(plan: Plan, applied: Applied) -> dict[str, Any]:
    """The plan with each step's state: done, undone, left (done, and could not be undone), failed or planned."""
    states = {id(step): "done" for step in applied.done}
    states |= {id(step): "undone" for step in applied.undone}
    states |= {id(step): "left" for step in applied.left}
    states |= {id(step): "failed" for step, _ in applied.failed}
    value = plan.to_json()
    for step, described in zip(plan.steps, value["steps"], strict=True):
        described["state"] = states.get(id(step), "planned")
    return value
