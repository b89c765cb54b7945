"""What was picked in a list: containers started, stopped or removed together, networks removed, after a look at the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from networks.models import Container, Host, Network
from networks.services import bulk
from networks.services.bulk import MOST_CONTAINERS, MOST_NETWORKS, Handled
from networks.services.outcome import Outcome
from networks.services.preview import preview

from ..base import Look, PageRequest, confirm, page
from ..way_back import only_post
from ..which_host import on_host

MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class _Deed:
    """What is done to the picked, and the words for it."""

    carry_out: Callable[[Host, list[str]], Handled]
    title: str
    question: str
    button: str
    said: str
    danger: bool = False


@only_post
@page("operator", every=True)
def act(request: PageRequest) -> HttpResponse:
    """Show what the deed would change for all that were picked; do it when that plan was seen."""
    verb = request.POST.get("verb", "")
    picked = request.POST.getlist("pick")[:MOST_CONTAINERS]
    if verb not in {"start", "stop", "remove"} or not picked:
        messages.warning(request, _("Pick containers first, then say what to do with them."))
        return redirect("containers")
    deed = _deed(request, verb, picked)
    by_host = _by_host(Container.objects.filter(**on_host(request), pk__in=picked), picked, request.host)
    return confirm(
        request,
        lambda: _each(deed.carry_out, by_host),
        title=deed.title,
        question=deed.question,
        button=deed.button,
        said=deed.said,
        back=reverse("containers"),
        to=("containers",),
        danger=deed.danger,
        look=_look(by_host),
        extra={"hidden": [("verb", verb), *(("pick", reference) for reference in picked)], **_named(by_host)},
    )


@only_post
@page("operator", every=True)
def act_on_networks(request: PageRequest) -> HttpResponse:
    """Take the picked networks away, after a look at what that changes."""
    picked = request.POST.getlist("pick")[:MOST_NETWORKS]
    if not picked:
        messages.warning(request, _("Pick networks first, then say what to do with them."))
        return redirect("networks")
    rows = Network.objects.all() if request.every_host else Network.objects.on(request.host)
    by_host = _by_host(rows.filter(pk__in=picked), picked, request.host)
    count, names = len(picked), _names(rows.filter(pk__in=picked))
    title = ngettext("Remove {count} network", "Remove {count} networks", count).format(count=count)
    return confirm(
        request,
        lambda: _each(lambda host, references: bulk.remove_many(request.actor, host, [], references), by_host),
        title=title,
        question=_("These networks and everything that they put into the kernel go away: {names}.").format(names=names),
        button=title,
        said=ngettext("{count} network was removed.", "{count} networks were removed.", count).format(count=count),
        back=reverse("networks"),
        to=("networks",),
        look=_look(by_host),
        extra={"hidden": [("pick", reference) for reference in picked], **_named(by_host)},
    )


def _deed(request: PageRequest, verb: str, picked: list[str]) -> _Deed:
    count, names = len(picked), _names(Container.objects.filter(**on_host(request), pk__in=picked))
    if verb == "start":
        return _Deed(
            lambda host, references: bulk.start_many(request.actor, host, references),
            ngettext("Start {count} container", "Start {count} containers", count).format(count=count),
            _("These containers are started, where they do not run: {names}.").format(names=names),
            ngettext("Start {count} container", "Start {count} containers", count).format(count=count),
            ngettext("{count} container was started.", "{count} containers were started.", count).format(count=count),
        )
    if verb == "stop":
        return _Deed(
            lambda host, references: bulk.stop_many(request.actor, host, references),
            ngettext("Stop {count} container", "Stop {count} containers", count).format(count=count),
            _("These containers are stopped, all at the same time: {names}.").format(names=names),
            ngettext("Stop {count} container", "Stop {count} containers", count).format(count=count),
            ngettext("{count} container was stopped.", "{count} containers were stopped.", count).format(count=count),
        )
    return _Deed(
        lambda host, references: bulk.remove_many(request.actor, host, references, force=True),
        ngettext("Remove {count} container", "Remove {count} containers", count).format(count=count),
        _("These containers go away with their sandboxes, files and logs, running or not: {names}.").format(
            names=names
        ),
        ngettext("Remove {count} container", "Remove {count} containers", count).format(count=count),
        ngettext("{count} container was removed.", "{count} containers were removed.", count).format(count=count),
        danger=True,
    )


def _by_host(
    rows: QuerySet[Container] | QuerySet[Network], picked: list[str], page_host: Host
) -> dict[Host, list[str]]:
    """What was picked, by the host that works on it. What is there no more is left to *page_host*, which says so."""
    hosts = {row.pk: row.host for row in rows.select_related("host")}
    found: dict[Host, list[str]] = {}
    for reference in picked:
        found.setdefault(hosts.get(reference, page_host), []).append(reference)
    return dict(sorted(found.items(), key=lambda pair: pair[0].name))


def _named(by_host: dict[Host, list[str]]) -> dict[str, str]:
    """The host whose part of the plan comes first, where there are several."""
    return {"plan_host": next(iter(by_host)).name} if len(by_host) > 1 else {}


def _each(carry_out: Callable[[Host, list[str]], Handled], by_host: dict[Host, list[str]]) -> Outcome:
    """Do it on each host, an operation for each."""
    outcomes = [carry_out(host, references).outcome for host, references in by_host.items()]
    operations = [outcome.operation for outcome in outcomes if outcome.operation is not None]
    warnings = tuple(warning for outcome in outcomes for warning in outcome.warnings)
    return Outcome(None, operations[0] if operations else None, warnings, tuple(operations[1:]))


def _look(by_host: dict[Host, list[str]]) -> Look:
    """How the plan is found: on all of these hosts."""
    first, *others = by_host
    return partial(preview, first, others=others)


def _names(rows: QuerySet[Container] | QuerySet[Network]) -> str:
    names = list(rows.order_by("name").values_list("name", flat=True)[: MOST_NAMED + 1])
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
