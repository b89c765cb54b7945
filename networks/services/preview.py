"""What a use case would change in the kernel, without doing it: compile before and after, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from networks import feed, represent
from networks.cnm.desired import Host as DesiredHost
from networks.cnm.plan import Plan
from networks.cnm.resources import Resource
from networks.load import load_facts, load_host
from networks.models import Host, Operation
from networks.reachability import Difference, flips
from worker.compile import compile_host
from worker.diff import diff

from .outcome import Outcome
from .second_look import with_second_look


@dataclass(frozen=True, slots=True)
class Preview:
    """What a use case would come to."""

    plan: Plan
    result: dict[str, Any] | None
    """The representation of the object as it would be."""
    warnings: tuple[str, ...]
    facts_age_s: float | None
    """How old the facts are that the plan rests on; None: the host was never observed."""
    flips: tuple[Difference, ...] = ()
    """Who would reach whom that did not, and the other way round."""
    operation: dict[str, Any] | None = None
    """What the worker would be asked to do (verb, queue, subject); None: nothing, the database is all that changes."""
    elsewhere: tuple[tuple[str, Plan], ...] = ()
    """What would change on other hosts that were asked about, by name; those where nothing does are left out."""
    stays_behind: Plan | None = None
    """What nobody could take away, as the plan that would: of a host that is let go and does not answer."""

    def to_json(self) -> dict[str, Any]:
        value = {
            "plan": self.plan.to_json(),
            "operation": self.operation,
            "result": self.result,
            "warnings": list(self.warnings),
            "facts_age_s": self.facts_age_s,
            "reachability": [flip.to_json() for flip in self.flips],
        }
        if self.elsewhere:
            value["elsewhere"] = {name: plan.to_json() for name, plan in self.elsewhere}
        if self.stays_behind is not None:
            value["stays_behind"] = self.stays_behind.to_json()
        return value


class _RolledBack(Exception):
    pass


@with_second_look
def preview(
    host: Host,
    use_case: Callable[[], Outcome],
    describe: Callable[[Outcome], dict[str, Any] | None] = lambda outcome: represent.current(outcome.subject),
    *,
    judge: bool = True,
    others: Sequence[Host] = (),
    reached: bool = True,
) -> Preview:
    """Run *use_case* and roll it back; its refusals are raised as they would be for real.

    *describe* says the result, while it is there. No operation, event, number or wake-up survives: all of them are made on commit
    or are rows of the transaction. *judge*: find out which verdicts about reachability would flip, too. *others*: hosts on which it
    changes something, too. Not *reached*: nobody will carry out on *host* what it comes to there, which stays behind.
    """
    outcome = Outcome(None)
    before = after = _Look(DesiredHost(id=host.pk), ())
    result: dict[str, Any] | None = None
    elsewhere: list[tuple[str, Plan]] = []
    try:
        with transaction.atomic(), feed.silenced():
            feed.become_writer()  # a refusal must be the true one, not that of a number which two want at once
            around = [(other, _look(other)) for other in others]
            before = _look(host)  # here: a change that somebody else commits meanwhile is no part of this one
            outcome = use_case()
            after = _look(host) if reached else before
            elsewhere = [(other.name, diff(_look(other).resources, was.resources)) for other, was in around]
            result = describe(outcome)
            raise _RolledBack
    except _RolledBack:
        pass
    age = (timezone.now() - host.facts_at).total_seconds() if host.facts_at else None
    asked = _asked(outcome.operation) if outcome.operation is not None else None
    plan = diff(after.resources, before.resources)
    flipped = flips(host, before.resources, after.resources, before.desired, after.desired) if judge and plan else []
    return Preview(
        plan,
        result,
        tuple(map(str, outcome.warnings)),
        age,
        tuple(flipped),
        asked,
        tuple((name, found) for name, found in elsewhere if found),
        None if reached else diff((), before.resources),
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """The desired state at one moment, and what it compiles to."""

    desired: DesiredHost
    resources: tuple[Resource, ...]


def _look(host: Host) -> _Look:
    desired = load_host(host)
    return _Look(desired, compile_host(desired, load_facts(host)))


def _asked(operation: Operation) -> dict[str, Any]:
    kind, name = operation.subject_kind, operation.subject_name
    return {"verb": operation.verb, "queue": operation.queue, "subject": {"kind": kind, "name": name}}
