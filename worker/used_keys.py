"""What a plan does to the keys by which this host encrypts, told to their rows: before it is carried out, and after."""

from __future__ import annotations

from collections.abc import Sequence

from networks import associations
from networks.cnm.plan import Plan, Step
from networks.cnm.resources import Resource, XfrmPolicy, XfrmState
from networks.models import Host


def lost(plan: Plan) -> set[int]:
    """The numbers of those that *plan* would write into the kernel a second time: it has lost them, and they must be made anew."""
    return {step.after.association for step in plan if isinstance(step.after, XfrmState) and step.after.burnt}


def without_lost(plan: Plan) -> Plan:
    return Plan(tuple(step for step in plan if not _is_burnt(step)))


def begin(host: Host, plan: Plan) -> None:
    """Note which ones *host* begins to send by, before its kernel has them: a worker that dies in between has used them."""
    made = [step.after for step in plan if isinstance(step.after, XfrmState) and step.after.outgoing]
    associations.begin(host, {state.association for state in made})


def confirm(host: Host, applied: Sequence[Resource]) -> None:
    """Note what of *applied* the kernel of *host* was seen to hold. Inside ``feed.transaction``."""
    states = [resource for resource in applied if isinstance(resource, XfrmState)]
    associations.confirm(
        host,
        receives={state.association for state in states if not state.outgoing},
        sends={resource.association for resource in applied if isinstance(resource, XfrmPolicy)},
        keeps={state.association for state in states if state.outgoing},
    )


def _is_burnt(step: Step) -> bool:
    return isinstance(step.after, XfrmState) and step.after.burnt
