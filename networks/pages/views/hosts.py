"""All hosts of this console: which one is looked at, and letting another one join."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext as _

from networks import represent
from networks.cnm.names import EVERY_HOST
from networks.live.session import HOST_LOOKED_AT
from networks.models import Host, SecurityAssociation
from networks.services import encryption, joining
from networks.services import hosts as use_cases
from networks.services.find import find_host

from ..base import PageRequest, confirm, page
from ..which_host import list_of, prefix_of


def hosts_card(request: PageRequest) -> dict[str, Any]:
    """What the list of hosts on a host's page shows, and what this one encrypts by."""
    here = Q() if request.every_host else Q(sender=request.host) | Q(receiver=request.host)
    rows = SecurityAssociation.objects.filter(here).select_related("sender", "receiver")
    return {
        "hosts": [represent.host(row) for row in Host.objects.all()],
        "looked_at": "" if request.every_host else request.host.name,
        "associations": [represent.association(row) for row in rows],
    }


@page(write="viewer", any_host=True)
def look_at(request: PageRequest, name: str) -> HttpResponse:
    """Have all pages be about the host *name* from now on, or (``*``) about all; on with the list that was looked at."""
    if request.method != "POST":
        return redirect("dashboard")
    chosen = EVERY_HOST if name == EVERY_HOST else find_host(name).name
    request.session[HOST_LOOKED_AT] = chosen
    page_now = list_of("/" + request.POST.get("page", "").lstrip("/"))
    prefix = prefix_of(chosen) if len(request.host_names) > 1 else "/"
    return redirect(iri_to_uri(prefix) + page_now[1:])


@page("admin", write="admin", any_host=True)
def invite(request: PageRequest) -> HttpResponse:
    """A token for one host, shown this once, with the command that takes it."""
    if request.method != "POST":
        return redirect("host")
    _row, token = joining.create_join_token(request.actor)
    console = request.build_absolute_uri("/")
    return render(request, "join.html", {"token": token, "console": console, "title": _("Let a host join")})


@page("admin", write="admin", every=True)
def drain(request: PageRequest, name: str) -> HttpResponse:
    """What stops on the host *name* and vanishes on others; then it is drained."""
    host = find_host(name)
    return confirm(
        request,
        lambda: use_cases.drain_host(request.actor, host),
        title=_("Drain host {name}").format(name=name),
        question=_(
            "Its containers stop, and none starts there until you take it up again. Nothing is deleted: containers, networks and"
            " images stay."
        ),
        button=_("Drain"),
        said=_("Host {name} is drained.").format(name=name),
        back=reverse("host"),
        to=("host",),
        look=use_cases.looking_at(host),
    )


@page("admin", write="admin", every=True)
def activate(request: PageRequest, name: str) -> HttpResponse:
    """Take up the drained host *name*, with what its drain stopped, or (``idle``) without."""
    host, idle = find_host(name), "idle" in request.GET
    return confirm(
        request,
        lambda: use_cases.activate_host(request.actor, host, start=not idle),
        title=_("Take up host {name}").format(name=name),
        question=_("It takes containers again.")
        if idle
        else _("It takes containers again, and those that were stopped when it was drained start."),
        button=_("Take up"),
        said=_("Host {name} takes containers again.").format(name=name),
        back=reverse("host"),
        to=("host",),
        danger=False,
        look=use_cases.looking_at(host),
    )


@page("admin", write="admin", every=True)
def remove(request: PageRequest, name: str) -> HttpResponse:
    """What goes with the host *name*, and what stays behind where it does not answer; then it goes."""
    host = find_host(name)
    reached = represent.is_alive(host)
    return confirm(
        request,
        lambda: use_cases.remove_host(request.actor, host, force=not reached),
        title=_("Remove host {name}").format(name=name),
        question=_("Its containers, their files and its networks go for good; networks that span hosts stay.")
        if reached
        else _(
            "It does not answer: its containers and networks are forgotten here, and what its kernel has of them stays behind until"
            " somebody runs make purge there."
        ),
        button=_("Remove host"),
        said=_("Host {name} is gone.").format(name=name),
        back=reverse("host"),
        to=("/host/",),  # not as a page of the one that is gone
        look=use_cases.looking_at(host, reached=reached),
        extra={"behind_on": name},
    )


@page("admin", write="admin", every=True)
def rotate(request: PageRequest) -> HttpResponse:
    """Exchange the keys of all hosts."""
    if request.method == "POST":
        found = encryption.rotate_keys(request.actor)
        said = _("{begun} exchanges of keys begin; {under_way} are under way.")
        messages.success(request, said.format(begun=found.begun, under_way=found.under_way))
    return redirect("host")
