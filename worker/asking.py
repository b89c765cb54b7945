"""Plans in rounds: what a plugin answers is asked for first, for the rest follows from it. Pure.

A plan is made of what is known. Where a part of it is answered by a plugin (a range of addresses, an address, an interface), that part is
carried out by itself; the answers go to the rows, and the plan is made anew, until nothing is left to be asked.
"""

from __future__ import annotations

from collections.abc import Collection

from networks.cnm.plan import Action, Plan, Step
from networks.cnm.plugin_resources import ANSWERED, PluginJoin
from networks.cnm.resources import Key

from .order import stage

_JOINING = frozenset({"plugin-endpoint", "plugin-join"})


def first_round(plan: Plan, asked: Collection[Key]) -> Plan | None:
    """The part of *plan* that is to be carried out before the rest can be planned; None: all of it can be carried out as it is.

    *asked* are the keys that were asked for already: nobody is asked twice in one operation.
    """
    open_steps = [step for step in plan if _is_asked(step) and step.key not in asked]
    if not open_steps:
        return None
    first = min(map(_turn, open_steps))
    turn = [step for step in open_steps if _turn(step) == first]
    steps = [*_beforehand(plan, turn), *turn]
    return Plan(tuple(sorted(steps, key=_place)))


def _is_asked(step: Step) -> bool:
    return step.kind in ANSWERED and step.action is not Action.DELETE


def _turn(step: Step) -> int:
    """An endpoint and its joining are one turn: nothing follows from the one alone."""
    return 58 if step.kind in _JOINING else stage(step)


def _beforehand(plan: Plan, turn: Collection[Step]) -> list[Step]:
    """What those of a turn need: of an endpoint its network, with the hosts that it joins, and of a sandbox that joins the sandbox."""
    if not any(step.kind in _JOINING for step in turn):
        return []
    joining = {step.after.sandbox for step in turn if isinstance(step.after, PluginJoin)}
    return [
        step
        for step in plan
        if step.action is not Action.DELETE
        and (step.kind in {"plugin-node", "plugin-network"} or (step.kind == "sandbox" and step.key[1] in joining))
    ]


def _place(step: Step) -> int:
    """Networks, sandboxes, endpoints, joining."""
    return {"sandbox": 50}.get(step.kind, stage(step))
