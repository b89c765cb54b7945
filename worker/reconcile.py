"""The mechanism: load, compile, observe, diff, apply, settle. Runs in the single kernel process of a host."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from networks import associations, feed, settle, withheld
from networks.cnm.desired import Host as DesiredHost
from networks.cnm.errors import ApplyFailed, CnmError, Conflict
from networks.cnm.plan import Action, Plan, Step
from networks.cnm.plugin_resources import TOLD, PluginEndpoint, PluginJoin
from networks.cnm.resources import EtcFile, Key, Owner, PortReservation, Process, Resource, Sandbox
from networks.cnm.text import gettext_noop
from networks.host_ports import move_on
from networks.load import load_both, load_facts
from networks.models import Host, Operation

from . import used_keys
from .apply.files import FilesHandler
from .apply.plugins import PluginsHandler
from .apply.processes import ProcessesHandler
from .compile import compile_host
from .diff import diff
from .machine import Applied, Machine
from .rounds import Rounds
from .scope import WHOLE_KINDS, Scope, party

log = logging.getLogger(__name__)

PORT_TRIES = 64
"""How many host ports in a row may be lost to other programs before a published port counts as failed."""
NAMED = 5
"""How many objects a sentence names at most."""
PROGRESS_INTERVAL_S = 0.25
"""How often at most the operation's row is told how far its plan is."""
REMOVALS = frozenset(
    {
        "network.delete",
        "network.disconnect",
        "container.stop",
        "container.remove",
        "container.exited",
        "port.unpublish",
        "link.delete",
        "bulk.stop",
        "bulk.remove",
        "host.drain",
        "host.remove",
    }
)
"""Verbs that take away: they go on after a step that fails, for to put back what nobody wants helps no one."""
MANY = frozenset({"bulk.start", "bulk.stop", "bulk.remove", "topology.apply", "host.drain", "host.activate"})
"""Verbs on many objects, each of which fails by itself: the others go on and are settled."""
VITAL = frozenset(
    {"bridge", "vlan", "vxlan", "sandbox", "veth", "handed", "macvlan", "ipvlan", "interface", "port", "process", *TOLD}
)
"""Kinds without which their owner is not there. Of a link that has rules, these are."""


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

    def __init__(
        self, host: Host, machine: Machine, processes: ProcessesHandler, files: FilesHandler, told: PluginsHandler
    ) -> None:
        self.host = host
        self.machine = machine
        self.processes = processes
        self.files = files
        self.told = told
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
        rounds = Rounds(self.machine, self.told, self.host, whole=not _each(operation, scope))
        tried: dict[str, set[int]] = {}
        while True:
            try:
                compiled, whole = self._look(rounds.scope(scope))
                plan = rounds.next(whole)
            except CnmError as error:
                log.exception("operation %s failed before its first step", operation.number)
                rounds.give_up()
                self.refuse(operation, error)
                return Applied()
            applied = self._apply(operation, plan, compiled, scope, rounds.broken)
            if self._moved_on(applied, tried):
                continue
            if rounds.is_over(applied):
                break
        plan, applied = rounds.plan, rounds.applied
        if applied.failed:
            each = scope.everything or operation.verb in MANY
            parties = self._broken(applied, compiled) if each else scope.networks | scope.containers
            compiled = self._give_up(compiled, rounds.scope(scope), applied, parties)
        self._remember(compiled, rounds.scope(scope), applied)
        self._settle(operation, plan, applied, compiled)
        return applied

    def refuse(self, operation: Operation, error: CnmError) -> None:
        """End *operation* as failed where nothing is known of the kernel."""
        with feed.transaction(settle.ACTOR):
            withheld.withhold_unseen(self.host, operation.scope)
            settle.settle(operation, failed=error)

    def repair(self, operation: Operation, keys: Set[Key]) -> Applied:
        """Mend the drift of *keys* and nothing else. What cannot be mended is withheld, as after any failure."""
        rounds = Rounds(self.machine, self.told, self.host, whole=False)
        while True:
            compiled, whole = self._look(Scope(everything=True))
            plan = rounds.next(Plan(tuple(step for step in whole if step.key in keys)))
            used_keys.begin(self.host, plan)
            progress = _progress(operation, plan)
            if rounds.is_over(self.machine.apply_what_can_be(plan, party(compiled.kept), progress, rounds.broken)):
                break
        plan, applied = rounds.plan, rounds.applied
        # A plugin may have answered otherwise than it did before.
        self._applied |= {resource.key: resource for resource in compiled.wanted if resource.key in keys}
        if applied.failed:
            owners = {step.resource.owner for step, _ in applied.failed}
            compiled = self._give_up(compiled, Scope(everything=True), applied, self._broken(applied, compiled), owners)
            self._forget_applied(applied)
        operation.plan = _plan_json(plan, applied)
        operation.done_steps, operation.total_steps = len(applied.done), len(plan)
        failed = _failure(applied)
        with feed.transaction(settle.ACTOR):
            settle.mark_failed(self.host, self._errors(applied, compiled))
            settle.end_only(operation, failed=failed)
        return applied

    def lost(self, kind: str) -> set[Key]:
        """The keys of what was applied of *kind* and is there no more. What an operation still waits to make is not lost."""
        had = {resource.key for resource in self.applied if resource.kind == kind}
        return had - {resource.key for resource in self.machine.observe(had)} if had else set()

    def plan(self, compiled: Compiled, scope: Scope) -> Plan:
        """What would take the kernel to *compiled*, within *scope*."""
        if scope.everything:
            return _named(diff(compiled.wanted, self.machine.observe(None)), compiled)
        keys = self._keys(compiled, scope)
        wanted = [r for r in compiled.wanted if r.key in keys or r.kind in WHOLE_KINDS]
        return _named(diff(wanted, self.machine.observe(keys, whole=WHOLE_KINDS)), compiled)

    def _look(self, scope: Scope) -> tuple[Compiled, Plan]:
        """The desired state, and what would take the kernel there. A key that the kernel has lost is made anew first."""
        while True:
            compiled = self.compile()
            plan = self.plan(compiled, scope)
            lost = used_keys.lost(plan)
            if not lost:
                return compiled, plan
            associations.renew(self.host, lost)

    def _keys(self, compiled: Compiled, scope: Scope) -> set[Key]:
        """What *scope* covers: of what is wanted, of what is to go, and of what was applied: a network may have been changed, and of one
        that spans hosts others may have left at the same moment."""
        spans = any(network.spans for network in compiled.kept.networks)
        former = self.applied if scope.networks or scope.peers or spans else ()
        known = () if compiled.known is compiled.wanted else compiled.known
        return scope.keys(compiled.kept, (*compiled.wanted, *known, *former))

    def remember_all(self, compiled: Compiled) -> None:
        """The kernel was seen to be as *compiled* asks."""
        self._applied = {resource.key: resource for resource in compiled.wanted}

    def settle_all(self, compiled: Compiled) -> None:
        """A full pass found nothing to do: everything that was on its way has arrived."""
        self._forget_removed(None)
        with feed.transaction(settle.ACTOR):
            if compiled.kept.associations:
                used_keys.confirm(self.host, self.applied)
            settle.settle_everything(self.host)

    def _apply(self, operation: Operation, plan: Plan, compiled: Compiled, scope: Scope, broken: set[str]) -> Applied:
        progress = _progress(operation, plan)
        used_keys.begin(self.host, plan)
        if operation.verb in REMOVALS:
            return self.machine.apply_what_can_be(plan, lambda owner: f"{owner.kind} {owner.id}", progress, broken)
        if _each(operation, scope):
            return self.machine.apply_what_can_be(plan, party(compiled.kept), progress, broken)
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

    @staticmethod
    def _errors(applied: Applied, compiled: Compiled) -> dict[str, CnmError]:
        """The first error of each network and container that had one, by its id."""
        belongs = party(compiled.kept)
        return {belongs(step.resource.owner): error for step, error in reversed(applied.failed)}

    def _broken(self, applied: Applied, compiled: Compiled) -> set[str]:
        return set(self._errors(applied, compiled))

    def _give_up(
        self,
        compiled: Compiled,
        scope: Scope,
        applied: Applied,
        parties: Set[str],
        owners: Set[Owner] | None = None,
    ) -> Compiled:
        """Leave out of the desired state what of *parties* (and, if given, of *owners*) is not there, and take away what is
        left of it: the desired state as it is then. *applied* learns what is gone after all."""
        missing = self._missing(compiled, parties)
        with feed.transaction(settle.ACTOR):
            if not withheld.withhold(self.host, missing):
                return compiled
        before, compiled = compiled, self.compile()
        rest = self.plan(compiled, scope)
        if owners is not None:
            dropped = {resource.key for resource in before.wanted} - {resource.key for resource in compiled.wanted}
            rest = Plan(tuple(step for step in rest if step.key in dropped or step.resource.owner in owners))
        rest = used_keys.without_lost(rest)
        used_keys.begin(self.host, rest)
        cleared = self.machine.apply_what_can_be(rest, party(compiled.kept))
        gone = {step.key for step in cleared.done if step.action is Action.DELETE}
        undone = set(map(id, applied.undone))
        applied.undone += [step for step in applied.done if step.key in gone and id(step) not in undone]
        applied.left = [step for step in applied.left if step.key not in gone]
        return compiled

    def _missing(self, compiled: Compiled, parties: Set[str]) -> Mapping[str, Set[str]]:
        """Kind of owner -> ids of those of *parties* that lack something vital."""
        belongs = party(compiled.kept)
        vital = [
            resource
            for resource in compiled.wanted
            if (resource.kind in VITAL or (resource.kind == "rule" and resource.owner.kind == "link"))
            and belongs(resource.owner) in parties
        ]
        whole = WHOLE_KINDS if any(resource.kind in WHOLE_KINDS for resource in vital) else frozenset()
        keys = {resource.key for resource in vital if resource.kind not in WHOLE_KINDS}
        found = {resource.key: resource for resource in self.machine.observe(keys, whole=whole)}
        missing: dict[str, set[str]] = {}
        for resource in vital:
            if not _is_there(resource, found.get(resource.key)):
                missing.setdefault(resource.owner.kind, set()).add(resource.owner.id)
        return missing

    def _remember(self, compiled: Compiled, scope: Scope, applied: Applied) -> None:
        if scope.everything or not self._applied:
            self.remember_all(compiled)
        else:
            keys = self._keys(compiled, scope)
            whole = {resource.key for resource in compiled.wanted if resource.kind in WHOLE_KINDS}
            stale = [k for k in self._applied if k in keys or (k[0] in WHOLE_KINDS and k not in whole)]
            for key in stale:
                del self._applied[key]
            self._applied |= {r.key: r for r in compiled.wanted if r.key in keys or r.key in whole}
        if applied.failed:
            self._forget_applied(applied)

    def _forget_applied(self, applied: Applied) -> None:
        """What failed or was undone is as it was before: no drift."""
        for step in (*applied.undone, *(step for step, _ in applied.failed)):
            self._applied.pop(step.key, None)
            if step.before is not None:
                self._applied[step.key] = step.before

    def _settle(self, operation: Operation, plan: Plan, applied: Applied, compiled: Compiled) -> None:
        operation.plan = _plan_json(plan, applied)
        operation.done_steps, operation.total_steps, operation.step = len(applied.done), len(plan), ""
        failed = _failure(applied)
        everything, many = bool(operation.scope.get("all")), operation.verb in MANY
        errors = self._errors(applied, compiled) if everything or many else {}
        if everything or many or failed is None:
            self._forget_removed(operation, besides=errors)
        if failed is not None and many:
            failed = _failure_of_some(failed, errors, compiled.kept)
        with feed.transaction(settle.ACTOR):  # one transaction, so that each object is described once
            self._note(applied)
            if compiled.kept.associations:
                used_keys.confirm(self.host, self.applied)
            settle.mark_failed(self.host, errors)
            settle.settle(operation, failed=failed, broken=errors if many else None)
            if everything:
                settle.settle_everything(self.host, besides=errors)

    def _note(self, applied: Applied) -> None:
        """Tell the rows what was seen on the way: process ids with the environment at the start, and what the three files hold."""
        undone = set(map(id, applied.undone))
        files: dict[str, dict[str, str]] = {}
        pids: dict[str, int] = {}
        environments: dict[str, dict[str, str]] = {}
        for step in applied.done:
            after = step.after
            if after is None or id(step) in undone:
                continue
            if isinstance(after, EtcFile):
                files.setdefault(after.container_id, {})[after.name] = self.files.seen_one(after)
            elif isinstance(after, Process):
                pids[after.container_id] = self.processes.runtime.state(after.container_id).pid
                environments[after.container_id] = dict(after.link_env)
        if files or pids:
            settle.note(self.host, files, pids, environments)

    def _forget_removed(self, operation: Operation | None, besides: Mapping[str, CnmError] | None = None) -> None:
        """Delete the files of containers that are gone for good; then nothing of them is left but the log of what was done."""
        for container_id in settle.going(self.host, operation):
            if container_id not in (besides or ()):
                self.processes.remove_container(container_id)


def _each(operation: Operation, scope: Scope) -> bool:
    """Whether what fails fails by itself, and the rest of *operation* goes on."""
    return scope.everything or operation.verb in MANY or operation.verb in REMOVALS


def _named(plan: Plan, compiled: Compiled) -> Plan:
    """*plan* with the owner and the reason of what it deletes, where they are known: the kernel tells of neither."""
    if all(step.action is not Action.DELETE for step in plan):
        return plan
    known = {resource.key: resource for resource in compiled.known}

    def named(step: Step) -> Step:
        had = known.get(step.key) if step.after is None else None
        if had is None or step.before is None:
            return step
        return Step(replace(step.before, owner=had.owner, why=had.why), None)

    return Plan(tuple(map(named, plan)))


def _is_there(wanted: Resource, found: Resource | None) -> bool:
    """Whether *found* is what *wanted* names, perhaps with other settings, and not merely something in its place."""
    if isinstance(wanted, Process):
        return found == wanted
    if isinstance(wanted, Sandbox | PluginEndpoint | PluginJoin):
        return isinstance(found, type(wanted)) and found.up
    return found is not None


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


def _failure_of_some(first: CnmError, errors: Mapping[str, CnmError], kept: DesiredHost) -> CnmError:
    """The failure of an operation on many: who it did not work for, and (``facts["refused"]``) each one's own error."""
    names = {network.id: network.name for network in kept.networks} | {one.id: one.name for one in kept.containers}
    named = sorted(((names.get(key, key), error) for key, error in errors.items()), key=lambda pair: pair[0])
    shown = ", ".join(name for name, _ in named[:NAMED])
    return ApplyFailed(
        gettext_noop("This did not work for {names}; what else was asked for is done. The first reason: {cause}"),
        remedy="{help}",
        names=shown if len(named) <= NAMED else f"{shown}, …",
        cause=str(first.sentence),
        help=str(first.remedy),
        facts=first.facts | {"refused": [error.to_json() | {"subject": name} for name, error in named]},
    )


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
