"""The desired state as a file: seen, downloaded, written or made of a Compose file; its plan, and its application."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from networks.cnm.errors import CnmError
from networks.models import Container, Endpoint, Link, Network, PublishedPort
from networks.services.compose import read_variables
from networks.services.outcome import Outcome
from networks.services.preview import preview
from networks.services.topology import Applied, apply_topology, export
from networks.services.topology_file import import_compose, lines_told, read_file, write_file
from networks.services.yaml_text import MOST_BYTES

from ..base import PageRequest, page, status_of
from ..form import Form, uploaded_text
from ..plan_view import PlanView, preview_view
from ..words import CHANGES

TEXT, COMPOSE = "text", "compose"


@page()
def desired_state(request: PageRequest) -> HttpResponse:
    """What is asked for now, to be changed; every answer to a POST shows the plan, and "apply" carries it out if that plan was seen."""
    form = Form(request.POST if request.method == "POST" else {TEXT: write_file(export(request.host))})
    context: dict[str, Any] = {"form": form, "plan": None, "notes": ()}
    status = 200
    if request.method == "POST":
        step = request.POST.get("step", "")
        try:
            if step == "import":
                context["notes"] = _import(request, form)
            elif given := uploaded_text(request, TEXT, MOST_BYTES):
                form.put(TEXT, given)
            if (answer := _plan(request, form, context, apply=step == "create")) is not None:
                return answer
        except CnmError as error:
            context["refused"] = {
                "path": error.field,
                "line": error.facts.get("line"),
                "all": error.facts.get("refused"),
            }
            error.field = COMPOSE if step == "import" and not context["notes"] and not context.get("imported") else TEXT
            form.refuse(error)
            status = status_of(error)
    return render(request, "desired_state.html", context, status=status)


def _import(request: PageRequest, form: Form) -> Any:
    """Put the Compose file in place of the text; what is not taken over."""
    given = uploaded_text(request, COMPOSE, MOST_BYTES) or form.value(COMPOSE)
    form.put(COMPOSE, given)
    found = import_compose(given, read_variables(form.value("variables")))
    form.put(TEXT, found.file)
    return found.notes


def _plan(request: PageRequest, form: Form, context: dict[str, Any], *, apply: bool) -> HttpResponse | None:
    """The plan of what stands in the form, into *context*; with *apply* and the plan that was seen, its application."""
    declaration, document = read_file(form.value(TEXT))
    done: list[Applied] = []

    def use_case() -> Outcome:
        with lines_told(document):
            done.append(apply_topology(request.actor, request.host, declaration, prune=form.flag("prune")))
        return done[-1].outcome

    context["plan"] = plan = _preview(request, use_case)
    context["changes"] = [(CHANGES[change.action], change) for change in done[-1].changes.changes]
    context["left_alone"] = done[-1].changes.left_alone
    context["changed"] = apply
    if not apply or request.POST.get("plan") != plan.digest:
        return None
    outcome = use_case()
    for warning in outcome.warnings:
        messages.warning(request, warning.translated(_))
    if outcome.operation is not None:
        return redirect("operation", outcome.operation.number)
    changed = bool(done[-1].changes)
    messages.success(
        request,
        _("The desired state was applied.") if changed else _("Everything is as the file declares: nothing was done."),
    )
    return redirect("desired-state")


def _preview(request: PageRequest, use_case: Any) -> PlanView:
    before = _ids(request)
    new: set[str] = set()

    def describe(outcome: Outcome) -> None:
        new.update(_ids(request) - before)

    return preview_view(preview(request.host, use_case, describe), new_ids=tuple(new))


def _ids(request: PageRequest) -> set[str]:
    """The ids of all that kernel names are made of."""
    host = request.host
    found = (
        Network.objects.filter(host=host),
        Container.objects.filter(host=host),
        Endpoint.objects.filter(container__host=host),
        PublishedPort.objects.filter(container__host=host),
        Link.objects.filter(recipient__host=host),
    )
    return {pk for rows in found for pk in rows.order_by().values_list("pk", flat=True)}


@page()
def download(request: PageRequest) -> HttpResponse:
    answer = HttpResponse(write_file(export(request.host)), content_type="application/yaml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{request.host.name}.yaml"'
    return answer
