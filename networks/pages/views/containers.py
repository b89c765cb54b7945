"""Containers: list, one, run, and what can be done to one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from networks import logs, represent
from networks.cnm.errors import CnmError
from networks.copy_as import copies_of_container
from networks.etc_files import files_of, owner_of
from networks.link_variables import link_variables
from networks.load import load_settings
from networks.models import Activity, Container, Drift, Image, Network
from networks.models.choices import RestartPolicy
from networks.services import containers as use_cases
from networks.services import kept
from networks.services.declared import declared
from networks.services.find import find_container
from networks.services.outcome import Outcome
from networks.services.repair import to_repair
from networks.services.spec_container import read_container, read_signal
from worker.drivers import read_network_options

from ..audit_view import belongings, ids_of_container, rules_of
from ..base import PageRequest, api_of, confirm, done, host_for_api, page, plan_of, report, status_of
from ..container_form import DEFAULTS, PLACES, ROWS, container_body
from ..form import Form
from ..listing import listing
from ..offers import container_offers
from ..way_back import only_post
from ..which_host import on_host
from .captures import capture_tab
from .connectivity import connectivity_tab
from .inside import exec_tab
from .terminal import terminal_tab

TABS = ("overview", "endpoints", "rules", "files", "logs", "exec", "terminal", "connectivity", "captures", "activity")
LOG_LINES = 500
LOG_TAILS = (100, 500, 2000, 10_000)
MOST_RECIPIENTS = 20
"""How many of those linked to a container are named before it is removed."""
_LISTS = re.compile(r"(?:/@[^/]+)?/containers/")
PROTOCOLS = [(name, name.upper()) for name in ("tcp", "udp", "sctp")]
SIGNALS = ("SIGTERM", "SIGKILL", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


ACTING: dict[str, Callable[[PageRequest, Container], dict[str, Any] | HttpResponse]] = {
    "exec": exec_tab,
    "terminal": terminal_tab,
    "connectivity": connectivity_tab,
    "captures": capture_tab,
}
"""Tabs with a form: what they show, and with a POST what came of it."""


@page(every=True)
def index(request: PageRequest) -> HttpResponse:
    rows = [represent.container(row) for row in represent.prepared(Container).filter(**on_host(request))]
    found = listing(
        request,
        rows,
        name="containers",
        columns={
            "image": _("Image"),
            "networks": _("Networks"),
            "ports": _("Published ports"),
            "created": _("Created"),
        },
        text=_searched,
        orders={
            "name": lambda row: row["name"].lower(),
            "host": lambda row: (row["host"], row["name"]),
            "image": lambda row: (row["image"], row["name"]),
            "state": lambda row: (row["state"], row["name"]),
            "created": lambda row: row["created_at"] or "",
        },
        default="-created",
        filters={
            "state": lambda row, value: row["state"] == value,
            "network": lambda row, value: (
                value in {e["network"]["name"] for e in row["endpoints"]} | {row["network_mode"]}
            ),
        },
    )
    return render(
        request,
        "containers/list.html",
        {
            "listing": found,
            "states": sorted({row["state"] for row in rows}),
            "networks": _network_names(request),
        },
    )


def _network_names(request: PageRequest) -> list[str]:
    rows = Network.objects.all() if request.every_host else Network.objects.on(request.host)
    return list(rows.order_by("name").values_list("name", flat=True).distinct())


def _searched(row: dict[str, Any]) -> str:
    endpoints = (f"{e['ipv4']} {e['ipv6']} {e['network']['name']} {e['mac']}" for e in row["endpoints"])
    ports = (f"{p['host_port']} {p['container_port']}" for p in row["ports"])
    return " ".join((row["name"], row["host"], row["image"], row["id"], row["state"], *endpoints, *ports))


@page()
def detail(request: PageRequest, reference: str) -> HttpResponse:
    row = represent.again(find_container(request.host, reference))
    tab = request.GET.get("tab", "overview")
    tab = tab if tab in TABS else "overview"
    context: dict[str, Any] = {"container": represent.container(row), "tab": tab, "tabs": _tabs(), "signals": SIGNALS}
    context["failed"] = to_repair(row)
    context["drift"] = [represent.drift(item) for item in Drift.objects.filter(resolved_at=None, owner__id=row.pk)]
    if tab == "overview":
        context["variables"] = link_variables(row)
        if asked := declared(request.host, [], [row.pk]).containers:
            context["copies"] = copies_of_container(asked[0], api_of(request), host_for_api(request))
    elif tab == "endpoints":
        context |= _endpoints_tab(request, row)
    elif tab == "rules":
        ids = ids_of_container(row)
        context |= {"rules": rules_of(request.host, *ids), "belongings": belongings(request.host, *ids)}
    elif tab == "files":
        context["files"] = files_of(row)
        context["files_of"] = owner_of(row)
    elif tab == "logs":
        context["lines"], context["log_problem"] = _log(request, row)
        context["tails"] = LOG_TAILS
    elif tab in ACTING:
        found = ACTING[tab](request, row)
        if isinstance(found, HttpResponse):
            return found
        context |= found
    elif tab == "activity":
        context["activity"] = [represent.activity(item) for item in Activity.objects.filter(subject_id=row.pk)[:100]]
    return render(request, "containers/detail.html", context, status=context.get("status", 200))


def _tabs() -> list[tuple[str, str]]:
    return [
        ("overview", _("Overview")),
        ("endpoints", _("Endpoints and ports")),
        ("rules", _("Rules")),
        ("files", _("Files")),
        ("logs", _("Logs")),
        ("exec", _("Commands")),
        ("terminal", _("Terminal")),
        ("connectivity", _("Connectivity")),
        ("captures", _("Captures")),
        ("activity", _("Activity")),
    ]


def _endpoints_tab(request: PageRequest, row: Container) -> dict[str, Any]:
    joined = row.endpoints.filter(removing=False).values_list("network_id", flat=True)
    joinable = (
        Network.objects.on(request.host)
        .filter(status="ready")
        .exclude(pk__in=joined)
        .exclude(driver__in=["host", "null"])
    )
    others = Container.objects.filter(host=request.host).exclude(pk=row.pk).order_by("name")
    return {
        "links_are_open": _links_are_open(request, row),
        "joinable": list(joinable.values_list("name", flat=True)),
        "others": list(others.values_list("name", flat=True)),
        "form": Form({}, {"ports": ROWS["ports"]}),
    }


def _links_are_open(request: PageRequest, row: Container) -> bool:
    """Whether the links of *row* have Docker's own reply rules, which let a source open any port of its recipient."""
    if load_settings(request.host).hardening:
        return False
    linked = Container.objects.filter(Q(links__source=row) | Q(linked_by__recipient=row) | Q(pk=row.pk))
    networks = Network.objects.filter(endpoints__container__in=linked, predefined=True)
    return any(not read_network_options(network.driver, network.options).icc for network in networks)


def _log(request: PageRequest, row: Container) -> tuple[list[logs.LogLine], str]:
    try:
        return kept.log_lines(row, request.user, LOG_LINES), ""
    except CnmError as error:
        return [], f"{error.sentence.translated(_)} {error.remedy.translated(_)}"
    except OSError as error:
        return [], _("The log cannot be read: {error}.").format(error=error.strerror)


@page("operator")
def create(request: PageRequest) -> HttpResponse:
    """Every answer shows the plan of what is typed; "run" carries it out if that plan was seen."""
    form = Form(request.POST if request.method == "POST" else request.GET.dict(), ROWS, PLACES)
    if request.method != "POST":
        form.fill(DEFAULTS)
    step = request.POST.get("step", "")
    form.quiet = step == "live" or request.method != "POST"
    context: dict[str, Any] = {"form": form, "plan": None, **_choices(request)}

    def use_case() -> Outcome:
        return use_cases.run_container(request.actor, request.host, read_container(container_body(form)))

    status = 200
    try:
        context["copies"] = copies_of_container(
            read_container(container_body(form)), api_of(request), host_for_api(request)
        )
        context["plan"] = plan = plan_of(request, use_case, creates=True)
        if step == "create" and request.POST.get("plan") == plan.digest:
            outcome = use_case()
            assert isinstance(outcome.subject, Container)  # noqa: S101  # the use case's contract
            name = outcome.subject.name
            return done(request, outcome, _("Container {name} was made.").format(name=name), "container", name)
        context["changed"] = step == "create"
    except CnmError as error:
        form.refuse(error)
        status = status_of(error) if step in {"create", "preview"} else 200
    context["offers"] = container_offers(request.host, form)
    return render(request, "containers/create.html", context, status=status)


def _choices(request: PageRequest) -> dict[str, Any]:
    networks = list(Network.objects.on(request.host).order_by("activation").values_list("name", flat=True))
    containers = list(Container.objects.filter(host=request.host).order_by("name").values_list("name", flat=True))
    images = list(Image.objects.filter(host=request.host, status="ready").values_list("name", flat=True))
    return {
        "networks": [(name, name) for name in networks]
        + [(f"container:{name}", f"container:{name}") for name in containers],
        "network_names": networks,
        "containers": containers,
        "images": list(dict.fromkeys(["host", *images])),
        "protocols": PROTOCOLS,
        "policies": RestartPolicy.choices,
        "kinds": [
            ("process", _("process: runs a command in a sandbox of its own")),
            ("sandbox", _("sandbox only: a network namespace without a process")),
            ("adopted", _("adopted: a network namespace that is there already")),
        ],
    }


@only_post
@page("operator")
def act(request: PageRequest, reference: str, verb: str) -> HttpResponse:
    """Start, stop, restart, pause, unpause, kill."""
    container = find_container(request.host, reference)
    try:
        if verb == "kill":
            signal = read_signal("signal", request.POST.get("signal", "SIGKILL"))
            outcome = use_cases.kill_container(request.actor, container, signal)
        else:
            deeds: dict[str, Callable[..., Outcome]] = {
                "start": use_cases.start_container,
                "stop": use_cases.stop_container,
                "restart": use_cases.restart_container,
                "pause": use_cases.pause_container,
                "unpause": use_cases.unpause_container,
            }
            outcome = deeds[verb](request.actor, container)
        report(request, outcome.operation, _said(verb).format(name=container.name))
    except CnmError as error:
        messages.error(request, str_of(error))
    return redirect(
        request.POST.get("back")
        if _is_own(request.POST.get("back", ""))
        else reverse("container", args=[container.name])
    )


def str_of(error: CnmError) -> str:
    return f"{error.sentence.translated(_)} {error.remedy.translated(_)}".strip()


def _is_own(path: str) -> bool:
    """Whether *path* is a list of ours to come back to."""
    return _LISTS.match(path) is not None and "//" not in path and "\\" not in path


def _said(verb: str) -> str:
    return {
        "start": _("Container {name} was started."),
        "stop": _("Container {name} was stopped."),
        "restart": _("Container {name} was restarted."),
        "pause": _("Container {name} stands still."),
        "unpause": _("Container {name} goes on."),
        "kill": _("The signal was sent to container {name}."),
        "remove": _("Container {name} was removed."),
    }[verb]


@page("operator")
def remove(request: PageRequest, reference: str) -> HttpResponse:
    """Its plan, and who is linked to it, come first: whoever confirms has seen what goes along, so it is removed by force."""
    container = find_container(request.host, reference)
    running = container.wanted == "running"
    return confirm(
        request,
        lambda: use_cases.remove_container(request.actor, find_container(request.host, container.pk), force=True),
        title=_("Remove container {name}").format(name=container.name),
        question=_("The container {name} runs. It is stopped and removed, with its sandbox, files and log.").format(
            name=container.name
        )
        if running
        else _("The container {name} is removed, with its sandbox, files and log.").format(name=container.name),
        button=_("Stop and remove") if running else _("Remove container"),
        said=_("Container {name} was removed.").format(name=container.name),
        back=reverse("container", args=[container.name]),
        to=("containers",),
        extra={"linked": _linked_to(container)},
    )


def _linked_to(source: Container) -> dict[str, Any] | None:
    """The first recipients of *source* with their aliases, and how many more there are; None where there are none."""
    rows = source.linked_by.exclude(recipient__wanted="removed").select_related("recipient")
    links = [(link.recipient.name, link.alias) for link in rows.order_by("recipient__name", "alias")]
    return {"links": links[:MOST_RECIPIENTS], "more": max(len(links) - MOST_RECIPIENTS, 0)} if links else None


@page("operator")
def rename(request: PageRequest, reference: str) -> HttpResponse:
    container = find_container(request.host, reference)
    form = Form(request.POST if request.method == "POST" else {"name": container.name})
    if request.method == "POST":
        try:
            new = read_container({"name": form.value("name").strip()}).name
            outcome = use_cases.rename_container(request.actor, container, new)
            return done(request, outcome, _("The container is called {name} now.").format(name=new), "container", new)
        except CnmError as error:
            form.refuse(error)
    return render(
        request,
        "containers/rename.html",
        {"container": represent.container(container), "form": form},
        status=400 if form.problem else 200,
    )
