"""A plan as pages show it: grouped by kind, with what each step is for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from networks.reachability import Difference
from networks.services.preview import Preview

from .parties import listed, senders
from .words import RESOURCES

SIGNS = {"create": "+", "change": "~", "delete": "−"}
_IDS = re.compile(r"[0-9a-f]{12,64}")
_MACS = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
NEW = "…"


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step, ready to be shown."""

    action: str
    sign: str
    text: str
    before: str
    difference: Mapping[str, list[str]]
    owner: Mapping[str, str]
    why: Mapping[str, Any]
    state: str


@dataclass(frozen=True, slots=True)
class PlanGroup:
    """The steps of one kind of resource."""

    kind: str
    icon: str
    steps: tuple[PlanStep, ...]


@dataclass(frozen=True, slots=True)
class Flip:
    """What changes of who reaches whom, in words."""

    sources: str
    targets: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan, ready to be shown."""

    summary: Mapping[str, int]
    groups: tuple[PlanGroup, ...]
    digest: str = ""
    """Says whether two plans are the same save for ids, which each preview makes anew."""
    facts_age_s: float | None = None
    warnings: tuple[str, ...] = ()
    flips: tuple[Flip, ...] = ()
    elsewhere: tuple[tuple[str, PlanView], ...] = ()
    """What changes on other hosts, by name."""
    stays_behind: PlanView | None = None
    """What nobody takes away, for its host does not answer."""

    def __bool__(self) -> bool:
        return bool(self.groups)

    @property
    def total(self) -> int:
        return sum(self.summary.values())


def plan_view(plan: Mapping[str, Any] | None, *, new_ids: tuple[str, ...] = ()) -> PlanView:
    """*plan* is ``Plan.to_json()``, or what an operation's row stores. *new_ids* exist only in this preview."""
    steps = (plan or {}).get("steps") or []
    groups: dict[str, list[PlanStep]] = {}
    for step in steps:
        groups.setdefault(step["kind"], []).append(_step(step, new_ids))
    order = [*RESOURCES, *(kind for kind in groups if kind not in RESOURCES)]
    return PlanView(
        summary=(plan or {}).get("summary") or {},
        groups=tuple(
            PlanGroup(kind, RESOURCES.get(kind, ("", "circle"))[1], tuple(groups[kind]))
            for kind in order
            if kind in groups
        ),
        digest=_digest(steps),
    )


def preview_view(preview: Preview, *, creates: bool = False, new_ids: tuple[str, ...] = ()) -> PlanView:
    """The plan of a preview. Ids of what it *creates* (or *new_ids*) are not known before, so names made of them are cut short."""
    if creates and preview.result:
        new_ids = tuple(_ids_of(preview.result))
    view = plan_view(preview.plan.to_json(), new_ids=new_ids)
    elsewhere = tuple((name, plan_view(plan.to_json())) for name, plan in preview.elsewhere)
    behind = plan_view(preview.stays_behind.to_json()) if preview.stays_behind is not None else None
    seen = [view.digest, *(f"{name} {one.digest}" for name, one in elsewhere), *([behind.digest] if behind else [])]
    return PlanView(
        view.summary,
        view.groups,
        view.digest if len(seen) == 1 else hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16],
        preview.facts_age_s,
        preview.warnings,
        tuple(dict.fromkeys(_flip(one) for one in preview.flips)),
        elsewhere,
        behind,
    )


def _flip(one: Difference) -> Flip:
    return Flip(senders(one.sources), listed(one.targets), one.before, one.after)


def _step(step: Mapping[str, Any], new_ids: tuple[str, ...]) -> PlanStep:
    text = step["text"]
    for new_id in new_ids:
        text = text.replace(new_id, NEW).replace(new_id[:12], NEW)
    action = step["action"]
    return PlanStep(
        action=action,
        sign=SIGNS.get(action, "?"),
        text=text,
        before=step.get("before", ""),
        difference=step.get("difference", {}),
        owner=step.get("owner", {}),
        why=step.get("why", {}),
        state=step.get("state", ""),
    )


def _ids_of(result: Mapping[str, Any]) -> list[str]:
    ids = [str(result["id"])]
    for name in ("endpoints", "ports", "links"):
        ids += [str(item["id"]) for item in result.get(name, ())]
    return [one for one in ids if len(one) == 64]


def _digest(steps: list[Mapping[str, Any]]) -> str:
    said = sorted(_MACS.sub("MAC", _IDS.sub("ID", f"{step['action']} {step['text']}")) for step in steps)
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
