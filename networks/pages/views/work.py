"""Operations, activity, drift: what was asked, what was done, what went astray."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from networks import represent
from networks.cnm.errors import CnmError, from_json
from networks.models import Activity, Drift, Host, Operation
from networks.repairs import is_paused
from networks.services import drift as drift_use_cases
from networks.services import repair as use_cases
from networks.services.actor import Actor
from networks.services.find import find_operation
from networks.services.outcome import Outcome

from ..base import PageRequest, page, report
from ..listing import listing
from ..plan_view import PlanGroup, PlanStep, PlanView, plan_view
from ..way_back import only_post
from ..which_host import done_there, hosts_of, on_host

KEPT = 500
"""The latest rows that lists look through."""


@page(every=True)
def operations(request: PageRequest) -> HttpResponse:
    rows = [
        represent.operation(row)
        for row in represent.prepared(Operation).filter(**on_host(request)).order_by("-number")[:KEPT]
    ]
    found = listing(
        request,
        rows,
        name="operations",
        columns={"steps": _("Steps"), "who": _("Who"), "when": _("When"), "took": _("Took")},
        text=lambda row: f"{row['number']} {row['verb']} {row['subject']['name']} {row['created_by']} {row['host']}",
        orders={
            "number": lambda row: row["number"],
            "host": lambda row: (row["host"], row["number"]),
            "what": lambda row: (row["verb"], row["number"]),
            "state": lambda row: (row["state"], row["number"]),
            "who": lambda row: (row["created_by"], row["number"]),
        },
        default="-number",
        filters={"state": lambda row, value: row["state"] == value, "verb": lambda row, value: row["verb"] == value},
    )
    return render(
        request,
        "operations.html",
        {
            "listing": found,
            "verbs": sorted({row["verb"] for row in rows}),
            "states": ("pending", "running", "done", "failed", "cancelled"),
        },
    )


@page(every=True)
def operation(request: PageRequest, reference: str) -> HttpResponse:
    row = represent.again(find_operation(reference))
    value = represent.operation(row, full=True)
    error = from_json(row.error) if row.error else None
    return render(
        request,
        "operation.html",
        {
            "operation": value,
            "plan": plan_view(row.plan),
            "sentence": error.sentence.translated(_) if error else "",
            "remedy": error.remedy.translated(_) if error else "",
            "facts": error.facts if error else {},
            "activity": row.activity.first(),
            "no_repair": _no_repair(row),
        },
    )


def _no_repair(row: Operation) -> str:
    """Why a failed operation is not to be done again, if so."""
    try:
        if row.state == "failed":
            use_cases.to_do_again(row)
    except CnmError as error:
        return f"{error.sentence.translated(_)} {error.remedy.translated(_)}"
    return ""


@only_post
@page("operator", every=True)
def retry(request: PageRequest, reference: str) -> HttpResponse:
    failed = find_operation(reference)
    try:
        again = use_cases.retry(request.actor, failed)
    except CnmError as error:
        messages.error(request, f"{error.sentence.translated(_)} {error.remedy.translated(_)}".strip())
        return redirect("operation", failed.number)
    report(request, again, _("Operation {number} was repaired.").format(number=failed.number))
    return redirect("operation", again.number)


@page(every=True)
def activity(request: PageRequest) -> HttpResponse:
    done = Activity.objects.filter(done_there(request)).select_related("operation").order_by("-id")
    rows = [represent.activity(row) for row in done[:KEPT]]
    numbers = dict(
        Operation.objects.filter(pk__in=[row["operation"] for row in rows if row["operation"]]).values_list(
            "pk", "number"
        )
    )
    for row in rows:
        row["operation_number"] = numbers.get(row["operation"])
    found = listing(
        request,
        rows,
        name="activity",
        columns={"who": _("Who"), "via": _("By way of"), "plan": _("Plan")},
        text=lambda row: f"{row['actor']} {row['verb']} {row['subject']['name']} {row['via']} {row['host']}",
        orders={
            "at": lambda row: row["id"],
            "host": lambda row: (row["host"], row["id"]),
            "who": lambda row: (row["actor"], row["id"]),
            "what": lambda row: (row["verb"], row["id"]),
            "via": lambda row: (row["via"], row["id"]),
        },
        default="-at",
        filters={"actor": lambda row, value: row["actor"] == value, "via": lambda row, value: row["via"] == value},
    )
    return render(
        request,
        "activity.html",
        {
            "listing": found,
            "actors": sorted({row["actor"] for row in rows}),
            "vias": sorted({row["via"] for row in rows}),
        },
    )


@page(every=True)
def drift(request: PageRequest) -> HttpResponse:
    rows = represent.prepared(Drift).filter(**on_host(request))
    open_rows = [represent.drift(row) for row in rows.filter(resolved_at=None)]
    past = [represent.drift(row) for row in rows.exclude(resolved_at=None)[:50]]
    hosts = hosts_of(request)
    return render(
        request,
        "drift.html",
        {
            "open": open_rows,
            "past": past,
            "auto": all(host.settings.get("auto_repair", False) for host in hosts),
            "paused": ", ".join(host.name for host in hosts if is_paused(host)),
        },
    )


@page("operator", every=True)
def repair(request: PageRequest) -> HttpResponse:
    """What would be mended, as a plan; then the mending."""
    chosen = [
        int(text)
        for text in request.POST.getlist("drift") + request.GET.getlist("drift")
        if text.isascii() and text.isdigit()
    ]
    rows = Drift.objects.filter(**on_host(request), resolved_at=None)
    rows = rows.filter(pk__in=chosen) if chosen else rows
    if request.method == "POST" and "confirmed" in request.POST:
        ids_of: dict[int, list[int]] = {}
        for row in rows:
            ids_of.setdefault(row.host_id, []).append(row.pk)
        for host in [host for host in hosts_of(request) if host.pk in ids_of or not request.every_host]:
            ids = ids_of.get(host.pk, []) if chosen else None
            _ask_worker(request, host, partial(drift_use_cases.repair, drift_ids=ids), _("The drift was repaired."))
        return redirect("drift")
    return render(
        request,
        "confirm.html",
        {
            "title": _("Repair drift"),
            "question": _("The kernel is brought back to what was asked for."),
            "button": _("Repair"),
            "back": reverse("drift"),
            "plan": _mending(list(rows)),
            "nothing_to_do": not rows,
            "danger": False,
            "hidden": [("confirmed", "1"), *(("drift", str(pk)) for pk in chosen)],
        },
    )


ACTIONS = {"missing": ("create", "+"), "left over": ("delete", "−"), "duplicated": ("delete", "−")}


def _mending(rows: list[Drift]) -> PlanView:
    """The steps that undo the drift seen: what is missing is made again, what is left over goes."""
    groups: dict[str, list[PlanStep]] = {}
    summary = {"create": 0, "change": 0, "delete": 0}
    for row in rows:
        action, sign = ACTIONS.get(row.kind, ("change", "~"))
        summary[action] += 1
        step = PlanStep(action, sign, row.text, "", {}, row.owner, row.why, "")
        groups.setdefault(row.resource_kind, []).append(step)
    shaped = plan_view(
        {"summary": summary, "steps": [{"kind": kind, "action": "change", "text": ""} for kind in groups]}
    )
    icons = {group.kind: group.icon for group in shaped.groups}
    return PlanView(summary, tuple(PlanGroup(kind, icons[kind], tuple(steps)) for kind, steps in groups.items()))


@only_post
@page("operator", every=True)
def look(request: PageRequest) -> HttpResponse:
    for host in hosts_of(request):
        _ask_worker(request, host, drift_use_cases.look, _("Everything was compared with the kernel."))
    return redirect("drift")


def _ask_worker(request: PageRequest, host: Host, use_case: Callable[[Actor, Host], Outcome], said: str) -> None:
    """Have one host do it; where it refuses, say so, and of which host it is where there are several."""
    name = f"{host.name}: " if request.every_host else ""
    try:
        report(request, use_case(request.actor, host).operation, name + said)
    except CnmError as error:
        messages.error(request, name + f"{error.sentence.translated(_)} {error.remedy.translated(_)}".strip())
