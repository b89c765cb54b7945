"""The rounds of one operation: what plugins answer first, then what follows from it; whole, or each for itself."""

from __future__ import annotations

from dataclasses import replace

from networks.cnm.plan import Plan, Step
from networks.cnm.resources import Key
from networks.models import Host
from networks.plugin_answers import note_answers

from .apply.plugins import PluginsHandler
from .asking import first_round
from .machine import Applied, Machine
from .scope import Scope


class Rounds:
    """What was planned and carried out of one operation so far. *whole*: when a step fails, the rounds before it are undone too."""

    def __init__(self, machine: Machine, told: PluginsHandler, host: Host, *, whole: bool) -> None:
        self._machine = machine
        self._told = told
        self._host = host
        self._whole = whole
        self._asked: set[Key] = set()
        self._besides: set[str] = set()
        self._steps: list[Step] = []
        self._now = Plan()
        self._is_last = True
        self.applied = Applied()
        """What became of all rounds that are over."""
        self.broken: set[str] = set()
        """Parties of which a step failed: their later steps are left out."""

    @property
    def plan(self) -> Plan:
        """The steps of all rounds that are over, in the order in which they were tried."""
        return Plan(tuple(self._steps))

    def scope(self, scope: Scope) -> Scope:
        """*scope*, with the networks that answers have made necessary."""
        return replace(scope, networks=scope.networks | self._besides) if self._besides else scope

    def next(self, plan: Plan) -> Plan:
        """The part of *plan* that is carried out now."""
        part = first_round(plan, self._asked)
        self._is_last = part is None
        self._now = plan if part is None else part
        return self._now

    def is_over(self, applied: Applied) -> bool:
        """Take note of what became of the part; whether nothing more is to be done."""
        self._steps += self._now
        self._asked |= {step.key for step in self._now}
        before = Applied(done=list(self.applied.done))
        for name in ("done", "undone", "left", "failed"):
            getattr(self.applied, name).extend(getattr(applied, name))
        if applied.failed and self._whole:
            self._undo(before)
            return True
        if not self._is_last:
            self._besides |= note_answers(self._host, self._told.answers())
        return self._is_last

    def give_up(self) -> None:
        """Nothing is known of what should be: undo what was done so far, where it was to be whole."""
        if self._whole:
            self._undo(Applied(done=list(self.applied.done)))

    def _undo(self, before: Applied) -> None:
        self._machine.undo(before)
        self.applied.undone += before.undone
        self.applied.left += before.left
