"""Networks: list, one, create, change, delete."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from networks import represent
from networks.cnm.errors import CnmError
from networks.models import Activity, Drift, Network
from networks.services import networks as use_cases
from networks.services.find import find_network
from networks.services.network_changes import update_network
from networks.services.outcome import Outcome
from networks.services.repair import to_repair
from networks.services.spec_network import read_changes, read_network
from worker.drivers import DRIVERS

from ..audit_view import belongings, rules_of
from ..base import PageRequest, confirm, done, page, plan_of, status_of
from ..form import Form
from ..listing import listing
from ..network_form import DEFAULTS, ROWS, change_body, change_values, network_body

TABS = ("overview", "endpoints", "rules", "activity")


@page()
def index(request: PageRequest) -> HttpResponse:
    rows = [represent.network(row) for row in represent.prepared(Network).filter(host=request.host)]
    found = listing(
        request,
        rows,
        text=lambda row: " ".join(
            (row["name"], row["driver"], row["bridge"], row["id"], *(s["subnet"] for s in row["subnets"]))
        ),
        orders={
            "name": lambda row: row["name"].lower(),
            "driver": lambda row: (row["driver"], row["name"]),
            "state": lambda row: (row["status"], row["name"]),
            "created": lambda row: row["created_at"] or "",
            "endpoints": lambda row: len(row["endpoints"]),
        },
        default="created",
        filters={"driver": lambda row, value: row["driver"] == value},
    )
    return render(request, "networks/list.html", {"listing": found, "drivers": sorted({row["driver"] for row in rows})})


@page()
def detail(request: PageRequest, reference: str) -> HttpResponse:
    row = represent.prepared(Network).get(pk=find_network(request.host, reference).pk)
    tab = request.GET.get("tab", "overview")
    context: dict[str, Any] = {
        "network": represent.network(row),
        "tab": tab if tab in TABS else "overview",
        "tabs": _tabs(),
    }
    context["failed"] = to_repair(row)
    context["drift"] = [represent.drift(item) for item in Drift.objects.filter(resolved_at=None, owner__id=row.pk)]
    if tab == "rules":
        context |= {"rules": rules_of(request.host, row.pk), "belongings": belongings(request.host, row.pk)}
    if tab == "activity":
        context["activity"] = [represent.activity(item) for item in Activity.objects.filter(subject_id=row.pk)[:100]]
    return render(request, "networks/detail.html", context)


def _tabs() -> list[tuple[str, str]]:
    return [
        ("overview", _("Overview")),
        ("endpoints", _("Endpoints")),
        ("rules", _("Rules")),
        ("activity", _("Activity")),
    ]


@page("operator")
def create(request: PageRequest) -> HttpResponse:
    """Every answer shows the plan of what is typed; "create" carries it out if that plan was seen."""
    form = Form(request.POST if request.method == "POST" else request.GET.dict(), ROWS)
    if request.method != "POST":
        form.fill(DEFAULTS)
    step = request.POST.get("step", "")
    form.quiet = step == "live" or request.method != "POST"
    context: dict[str, Any] = {"form": form, "drivers": _drivers(), "modes": _modes(), "plan": None}

    def use_case() -> Outcome:
        return use_cases.create_network(request.actor, request.host, read_network(network_body(form)))

    status = 200
    try:
        context["plan"] = plan = plan_of(request, use_case, creates=True)
        if step == "create" and request.POST.get("plan") == plan.digest:
            outcome = use_case()
            said = _("Network {name} was made.").format(name=form.value("name"))
            return done(request, outcome, said, "network", form.value("name").strip())
        context["changed"] = step == "create"
    except CnmError as error:
        form.refuse(error)
        status = status_of(error) if step in {"create", "preview"} else 200
    return render(request, "networks/create.html", context, status=status)


def _drivers() -> list[tuple[str, str]]:
    words = {
        "bridge": _("bridge: containers of this host on a bridge of their own, with NAT"),
        "host": _("host: the host's own network"),
        "null": _("null: no network"),
        "overlay": _("overlay: one network over several hosts"),
        "macvlan": _("macvlan: containers with MAC addresses of their own on a wire"),
        "remote": _("remote: a plugin makes it"),
    }
    return [(name, words.get(name, name)) for name in DRIVERS]


def _modes() -> list[tuple[str, str]]:
    return [
        ("", _("nat, by default")),
        ("nat", _("nat: hidden behind the host, published ports open")),
        ("nat-unprotected", _("nat-unprotected: every port open to whoever routes there")),
        ("routed", _("routed: addresses are real outside, no NAT")),
        ("isolated", _("isolated: the bridge has no address")),
    ]


@page("operator")
def edit(request: PageRequest, reference: str) -> HttpResponse:
    """As :func:`create`: the plan of what is typed, and the change when that plan was seen."""
    network = represent.network(represent.prepared(Network).get(pk=find_network(request.host, reference).pk))
    form = Form(request.POST if request.method == "POST" else change_values(network), {"labels": ("key", "value")})
    step = request.POST.get("step", "")
    form.quiet = step == "live" or request.method != "POST"
    context: dict[str, Any] = {"network": network, "form": form, "modes": _modes(), "plan": None}

    def use_case() -> Outcome:
        changes = read_changes(change_body(form, network))
        return update_network(request.actor, find_network(request.host, network["id"]), changes)

    status = 200
    try:
        context["plan"] = plan = plan_of(request, use_case)
        if step == "create" and request.POST.get("plan") == plan.digest:
            said = _("Network {name} was changed.").format(name=network["name"])
            return done(request, use_case(), said, "network", network["name"])
        context["changed"] = step == "create"
    except CnmError as error:
        form.refuse(error)
        status = status_of(error) if step in {"create", "preview"} else 200
    return render(request, "networks/edit.html", context, status=status)


@page("operator")
def delete(request: PageRequest, reference: str) -> HttpResponse:
    network = find_network(request.host, reference)
    return confirm(
        request,
        lambda: use_cases.delete_network(request.actor, find_network(request.host, network.pk)),
        title=_("Remove network {name}").format(name=network.name),
        question=_("The network {name} and everything that it put into the kernel go away.").format(name=network.name),
        button=_("Remove network"),
        said=_("Network {name} was removed.").format(name=network.name),
        back=reverse("network", args=[network.name]),
        to=("networks",),
    )
