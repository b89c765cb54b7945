"""Networks: list, one, create, change, delete."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from networks import represent
from networks.cnm.errors import CnmError
from networks.cnm.plugins import IPAM_DRIVER, NETWORK_DRIVER
from networks.copy_as import copies_of_network
from networks.load import load_facts
from networks.models import Activity, Drift, Network
from networks.models.network import usable_on
from networks.services import networks as use_cases
from networks.services.declared import declared
from networks.services.find import find_network
from networks.services.network_changes import update_network
from networks.services.outcome import Outcome
from networks.services.repair import to_repair
from networks.services.spec_network import read_changes, read_network
from worker.drivers import DRIVERS, is_plugin

from ..audit_view import belongings, rules_of
from ..base import PageRequest, api_of, confirm, done, host_for_api, page, plan_of, status_of
from ..form import Form
from ..listing import listing
from ..network_form import ALL_FIELDS, DEFAULTS, ROWS, change_body, change_values, network_body, step_of, taken
from ..offers import network_offers
from .captures import capture_tab

TABS = ("overview", "endpoints", "rules", "captures", "activity")


@page(every=True)
def index(request: PageRequest) -> HttpResponse:
    usable = Q() if request.every_host else usable_on(request.host)
    rows = [represent.network(row) for row in represent.prepared(Network).filter(usable)]
    found = listing(
        request,
        rows,
        name="networks",
        columns={
            "driver": _("Driver"),
            "subnets": _("Subnets"),
            "gateway": _("Gateway"),
            "bridge": _("Bridge"),
            "endpoints": _("Endpoints"),
            "created": _("Created"),
        },
        text=lambda row: " ".join(
            (row["name"], row["host"], row["driver"], row["bridge"], row["id"], *(s["subnet"] for s in row["subnets"]))
        ),
        orders={
            "name": lambda row: row["name"].lower(),
            "host": lambda row: (row["host"], row["name"]),
            "driver": lambda row: (row["driver"], row["name"]),
            "state": lambda row: (row["status"], row["name"]),
            "created": lambda row: row["created_at"] or "",
            "endpoints": lambda row: len(row["endpoints"]),
        },
        default="created",
        filters={
            "driver": lambda row, value: row["driver"] == value,
            "state": lambda row, value: value in _states(row),
        },
    )
    return render(
        request,
        "networks/list.html",
        {
            "listing": found,
            "drivers": sorted({row["driver"] for row in rows}),
            "states": sorted({state for row in rows for state in _states(row)}),
        },
    )


def _states(row: dict[str, Any]) -> list[str]:
    """That of a network, and that its plugin does not answer."""
    return [row["status"], *(plugin["state"] for plugin in row["plugins"] if plugin["state"] == "degraded")]


@page()
def detail(request: PageRequest, reference: str) -> HttpResponse:
    row = represent.again(find_network(request.host, reference))
    tab = request.GET.get("tab", "overview")
    context: dict[str, Any] = {
        "network": represent.network(row),
        "tab": tab if tab in TABS else "overview",
        "tabs": _tabs(),
    }
    context["failed"] = to_repair(row)
    context["drift"] = [represent.drift(item) for item in Drift.objects.filter(resolved_at=None, owner__id=row.pk)]
    if context["tab"] == "overview" and not row.predefined and (asked := declared(request.host, [row.pk], []).networks):
        context["copies"] = copies_of_network(asked[0], api_of(request), host_for_api(request))
    if tab == "rules":
        context |= {"rules": rules_of(request.host, row.pk), "belongings": belongings(request.host, row.pk)}
    if tab == "captures":
        found = capture_tab(request, row)
        if isinstance(found, HttpResponse):
            return found
        context |= found
    if tab == "activity":
        context["activity"] = [represent.activity(item) for item in Activity.objects.filter(subject_id=row.pk)[:100]]
    return render(request, "networks/detail.html", context, status=context.get("status", 200))


def _tabs() -> list[tuple[str, str]]:
    return [
        ("overview", _("Overview")),
        ("endpoints", _("Endpoints")),
        ("rules", _("Rules")),
        ("captures", _("Captures")),
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
    context: dict[str, Any] = {
        "form": form,
        "drivers": _drivers(request, form.value("driver")),
        "modes": _modes(),
        "plan": None,
    }
    context |= {"takes": taken(form.value("driver"), ALL_FIELDS).keys(), "parents": _parents(request)}
    context |= {"lan_modes": _lan_modes(), "ipam_drivers": _ipam_drivers(request, form.value("driver"))}

    def use_case() -> Outcome:
        return use_cases.create_network(request.actor, request.host, read_network(network_body(form)))

    status = 200
    try:
        context["copies"] = copies_of_network(read_network(network_body(form)), api_of(request), host_for_api(request))
        context["plan"] = plan = plan_of(request, use_case, creates=True)
        if step == "create" and request.POST.get("plan") == plan.digest:
            outcome = use_case()
            said = _("Network {name} was made.").format(name=form.value("name"))
            return done(request, outcome, said, "network", form.value("name").strip())
        context["changed"] = step == "create"
    except CnmError as error:
        form.refuse(error)
        status = status_of(error) if step in {"create", "preview"} else 200
    context |= {"offers": network_offers(request.host, form), "steps": _steps(), **_place(form)}
    return render(request, "networks/create.html", context, status=status)


def _steps() -> list[tuple[int, str]]:
    """The steps of the form, by number."""
    return [(1, _("Name")), (2, _("Addressing")), (3, _("Behaviour")), (4, _("Plan"))]


def _place(form: Form) -> dict[str, int]:
    """At which step of the form a person is: where they were, or, when they are refused, where that is to be corrected."""
    given = form.value("at")
    at = int(given) if given in {"1", "2", "3", "4"} else 1
    refused_at = 0
    if form.error_field and not form.quiet:
        refused_at = step_of(form.error_field)
        at = refused_at
    return {"at": at, "refused_at": refused_at}


def _drivers(request: PageRequest, chosen: str) -> list[tuple[str, str]]:
    """Ours that the host can do, and the plugins that make networks; while there is none, what one would be.

    One that is *chosen* already is there, whatever is said against it.
    """
    facts = load_facts(request.host)
    plugins = [item.name for item in facts.plugins if NETWORK_DRIVER in item.implements]
    able = {name for name, known in DRIVERS.items() if known.attaches and known.availability(facts) is None}
    words = {
        "bridge": _("bridge: on this host, behind NAT"),
        "overlay": _("overlay: across several hosts"),
        "macvlan": _("macvlan: in the host's LAN, MACs of their own"),
        "ipvlan": _("ipvlan: in the host's LAN, the host's MAC"),
        "remote": _("remote: made by a plugin"),
    }
    own = [(name, words.get(name, name)) for name in DRIVERS if name in able | {"remote", chosen}]
    if not plugins:
        return own
    return [
        *(pair for pair in own if pair[0] != "remote"),
        *((name, _("{name}: a plugin of this host makes it").format(name=name)) for name in plugins),
    ]


def _ipam_drivers(request: PageRequest, driver: str) -> list[tuple[str, str]]:
    """Who could give the addresses; nothing where there is no choice."""
    plugins = [item.name for item in load_facts(request.host).plugins if IPAM_DRIVER in item.implements]
    found = [(name, _("{name}: a plugin of this host").format(name=name)) for name in plugins]
    if driver and is_plugin(driver):
        found.append(("null", _("null: nobody; the plugin that makes the network may")))
    return [("", _("CNM Web, by default")), *found] if found else []


def _parents(request: PageRequest) -> list[tuple[str, str]]:
    return [(name, f"{name} (MTU {mtu})") for name, mtu in load_facts(request.host).devices]


def _lan_modes() -> dict[str, list[tuple[str, str]]]:
    """What a network in the host's LAN may be asked to be, by option."""
    bridge = _("bridge: containers on the device reach each other")
    private = _("private: each reaches the wire alone")
    return {
        "macvlan_mode": [("", _("bridge, by default")), ("bridge", bridge), ("private", private)],
        "ipvlan_mode": [
            ("", _("l2, by default")),
            ("l2", _("l2: on the wire, with a gateway of the LAN")),
            ("l3", _("l3: routed by the host, without broadcasts")),
            ("l3s", _("l3s: as l3, seen by the host's rules")),
        ],
        "ipvlan_flag": [
            ("", _("bridge, by default")),
            ("bridge", bridge),
            ("private", private),
            ("vepa", _("vepa: they reach each other by the switch alone")),
        ],
    }


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
    network = represent.network(represent.again(find_network(request.host, reference)))
    form = Form(request.POST if request.method == "POST" else change_values(network), {"labels": ("key", "value")})
    step = request.POST.get("step", "")
    form.quiet = step == "live" or request.method != "POST"
    context: dict[str, Any] = {"network": network, "form": form, "modes": _modes(), "plan": None}
    context |= {"takes": taken(network["driver"], ALL_FIELDS).keys(), "lan_modes": _lan_modes()}

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
