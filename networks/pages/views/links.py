"""All links of the host, and the editor that adds one: what it changes is shown while it is chosen."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from networks import represent
from networks.cnm.errors import CnmError
from networks.models import Container, Link
from networks.services import links as use_cases
from networks.services.body import Body
from networks.services.find import find_container
from networks.services.link_changes import link_anew
from networks.services.outcome import Outcome

from ..base import PageRequest, done, page, plan_of, status_of
from ..form import Form
from ..listing import listing
from ..which_host import on_host


@page(every=True)
def index(request: PageRequest) -> HttpResponse:
    """The list; for operators beside it the editor of one host, whose every answer shows the plan of what is chosen."""
    form = Form(request.POST if request.method == "POST" else request.GET.dict(), places={"links": "source"})
    step = request.POST.get("step", "")
    form.quiet = step == "live" or request.method != "POST"
    context: dict[str, Any] = {"form": form, "plan": None, **_choices(request)}

    def use_case() -> Outcome:
        chosen = Body({name: form.value(name) or None for name in ("recipient", "source")})
        recipient = find_container(request.host, chosen.text("recipient"), "recipient")
        source = find_container(request.host, chosen.text("source"), "source")
        make = link_anew if form.flag("restart") else use_cases.link
        return make(request.actor, recipient, source, form.value("alias").strip())

    status = 200
    asked = step in {"create", "preview"} or (form.value("recipient") and form.value("source"))
    if asked and request.actor.may("operator") and not request.every_host:
        try:
            context["plan"] = plan = plan_of(request, use_case, creates=True)
            if step == "create" and request.POST.get("plan") == plan.digest:
                said = _("{container} knows {source} now.")
                names = {"container": form.value("recipient"), "source": form.value("source")}
                return done(request, use_case(), said.format(**names), "links")
            context["changed"] = step == "create"
        except CnmError as error:
            form.refuse(error)
            status = status_of(error) if step in {"create", "preview"} else 200
    return render(request, "links.html", context | {"listing": _listing(request)}, status=status)


def _listing(request: PageRequest) -> Any:
    rows = Link.objects.filter(**on_host(request, "recipient__host")).select_related("recipient__host", "source")
    return listing(
        request,
        [represent.link(row) | {"works": not row.withheld} for row in rows],
        name="links",
        columns={"source": _("Source"), "alias": _("Alias")},
        text=lambda row: f"{row['recipient']['name']} {row['source']['name']} {row['alias']} {row['host']}",
        orders={
            "recipient": lambda row: (row["recipient"]["name"], row["alias"]),
            "host": lambda row: (row["host"], row["recipient"]["name"], row["alias"]),
            "source": lambda row: (row["source"]["name"], row["alias"]),
            "alias": lambda row: (row["alias"], row["recipient"]["name"]),
        },
        default="recipient",
    )


def _choices(request: PageRequest) -> dict[str, Any]:
    """Containers that can be linked: those that are on some network."""
    rows = Container.objects.filter(host=request.host, endpoints__removing=False).exclude(wanted="removed").distinct()
    names = [(name, name) for name in rows.order_by("name").values_list("name", flat=True)]
    return {"containers": [("", _("choose…")), *names]}
