"""What a use case would change in the kernel, without doing it: compile before and after, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from networks import feed, represent
from networks.cnm.desired import Host as DesiredHost
from networks.cnm.plan import Plan
from networks.cnm.resources import Resource
from networks.load import load_facts, load_host
from networks.models import Host
from worker.compile import compile_host
from worker.diff import diff

from .outcome import Outcome


@dataclass(frozen=True, slots=True)
class Preview:
    plan: Plan
    result: dict[str, Any] | None
    """The representation of the object as it would be."""
    warnings: tuple[str, ...]
    facts_age_s: float | None
    """How old the facts are that the plan rests on; None: the host was never observed."""

    def to_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan.to_json(),
            "result": self.result,
            "warnings": list(self.warnings),
            "facts_age_s": self.facts_age_s,
        }


class _RolledBack(Exception):
    pass


def preview(host: Host, use_case: Callable[[], Any]) -> Preview:
    """Run *use_case* and roll it back; its refusals are raised as they would be for real.

    No operation, event, number or wake-up survives: all of them are made on commit or are rows of the transaction.
    """
    before = _compiled(load_host(host), host)
    after: tuple[Resource, ...] = ()
    outcome: Any = None
    result: dict[str, Any] | None = None
    try:
        with transaction.atomic(), feed.silenced():
            outcome = use_case()
            after = _compiled(load_host(host), host)
            result = _described(outcome)
            raise _RolledBack
    except _RolledBack:
        pass
    age = (timezone.now() - host.facts_at).total_seconds() if host.facts_at else None
    said = outcome.warnings if isinstance(outcome, Outcome) else ()
    return Preview(diff(after, before), result, tuple(map(str, said)), age)


def _compiled(desired: DesiredHost, host: Host) -> tuple[Resource, ...]:
    return compile_host(desired, load_facts(host))


def _described(outcome: Any) -> dict[str, Any] | None:
    subject = outcome.subject if isinstance(outcome, Outcome) else None
    kind = type(subject).__name__.lower() if subject is not None else ""
    if subject is None or subject.pk is None or kind not in represent.DESCRIBERS:
        return None
    row = represent.prepared(type(subject)).filter(pk=subject.pk).first()
    return represent.of(kind, row) if row is not None else None
