"""What was picked in a list: containers started, stopped or removed together, networks removed, after a look at the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from networks.models import Container, Network
from networks.services import bulk
from networks.services.bulk import MOST_CONTAINERS, MOST_NETWORKS, Handled

from ..base import PageRequest, confirm, page

MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class _Deed:
    """What is done to the picked, and the words for it."""

    carry_out: Callable[[list[str]], Handled]
    title: str
    question: str
    button: str
    said: str
    danger: bool = False


@require_POST
@page("operator")
def act(request: PageRequest) -> HttpResponse:
    """Show what the deed would change for all that were picked; do it when that plan was seen."""
    verb = request.POST.get("verb", "")
    picked = request.POST.getlist("pick")[:MOST_CONTAINERS]
    if verb not in {"start", "stop", "remove"} or not picked:
        messages.warning(request, _("Pick containers first, then say what to do with them."))
        return redirect("containers")
    deed = _deed(request, verb, picked)
    return confirm(
        request,
        lambda: deed.carry_out(picked).outcome,
        title=deed.title,
        question=deed.question,
        button=deed.button,
        said=deed.said,
        back=reverse("containers"),
        to=("containers",),
        danger=deed.danger,
        extra={"hidden": [("verb", verb), *(("pick", reference) for reference in picked)]},
    )


@require_POST
@page("operator")
def act_on_networks(request: PageRequest) -> HttpResponse:
    """Take the picked networks away, after a look at what that changes."""
    picked = request.POST.getlist("pick")[:MOST_NETWORKS]
    if not picked:
        messages.warning(request, _("Pick networks first, then say what to do with them."))
        return redirect("networks")
    count, names = len(picked), _names(Network.objects.on(request.host).filter(pk__in=picked))
    title = ngettext("Remove {count} network", "Remove {count} networks", count).format(count=count)
    return confirm(
        request,
        lambda: bulk.remove_many(request.actor, request.host, [], picked).outcome,
        title=title,
        question=_("These networks and everything that they put into the kernel go away: {names}.").format(names=names),
        button=title,
        said=ngettext("{count} network was removed.", "{count} networks were removed.", count).format(count=count),
        back=reverse("networks"),
        to=("networks",),
        extra={"hidden": [("pick", reference) for reference in picked]},
    )


def _deed(request: PageRequest, verb: str, picked: list[str]) -> _Deed:
    count, names = len(picked), _names(Container.objects.filter(host=request.host, pk__in=picked))
    if verb == "start":
        return _Deed(
            lambda references: bulk.start_many(request.actor, request.host, references),
            ngettext("Start {count} container", "Start {count} containers", count).format(count=count),
            _("These containers are started, where they do not run: {names}.").format(names=names),
            ngettext("Start {count} container", "Start {count} containers", count).format(count=count),
            ngettext("{count} container was started.", "{count} containers were started.", count).format(count=count),
        )
    if verb == "stop":
        return _Deed(
            lambda references: bulk.stop_many(request.actor, request.host, references),
            ngettext("Stop {count} container", "Stop {count} containers", count).format(count=count),
            _("These containers are stopped, all at the same time: {names}.").format(names=names),
            ngettext("Stop {count} container", "Stop {count} containers", count).format(count=count),
            ngettext("{count} container was stopped.", "{count} containers were stopped.", count).format(count=count),
        )
    return _Deed(
        lambda references: bulk.remove_many(request.actor, request.host, references, force=True),
        ngettext("Remove {count} container", "Remove {count} containers", count).format(count=count),
        _("These containers go away with their sandboxes, files and logs, running or not: {names}.").format(
            names=names
        ),
        ngettext("Remove {count} container", "Remove {count} containers", count).format(count=count),
        ngettext("{count} container was removed.", "{count} containers were removed.", count).format(count=count),
        danger=True,
    )


def _names(rows: QuerySet[Container] | QuerySet[Network]) -> str:
    names = list(rows.order_by("name").values_list("name", flat=True)[: MOST_NAMED + 1])
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
