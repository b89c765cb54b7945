"""What is done inside a container: running a command, and making an image of its files."""

from __future__ import annotations

import shlex
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from networks import represent
from networks.cnm.errors import CnmError, InvalidSpec
from networks.cnm.text import gettext_noop
from networks.models import Container, Operation
from networks.services import containers as use_cases
from networks.services import operations
from networks.services.find import find_container
from networks.services.images import full_name

from ..base import WAIT_S, PageRequest, page, status_of
from ..form import Form

RUNS_SHOWN = 10
TIMEOUT_S = 300


def exec_tab(request: PageRequest, container: Container) -> dict[str, Any] | HttpResponse:
    """The latest commands that were run inside, the newest first, each with what it printed; with a POST one more is run."""
    form, status = Form(request.POST if request.method == "POST" else {}), 200
    if request.method == "POST":
        try:
            return _executed(request, container, form)
        except CnmError as error:
            form.refuse(error)
            status = status_of(error)
    rows = represent.prepared(Operation).filter(verb="container.exec", subject_id=container.pk).order_by("-number")
    runs = [represent.operation(row) | {"command": shlex.join(row.args["command"])} for row in rows[:RUNS_SHOWN]]
    return {"runs": runs, "form": form, "status": status}


def _executed(request: PageRequest, container: Container, form: Form) -> HttpResponse:
    command = form.words("command")
    if not command:
        raise InvalidSpec(
            gettext_noop("No command is given."), remedy=gettext_noop("Type one, as in a shell."), field="command"
        )
    outcome = use_cases.exec_in_container(
        request.actor,
        container,
        command,
        env={},
        user=form.value("user").strip()[:64],
        working_dir=form.value("working_dir").strip(),
        timeout=TIMEOUT_S,
    )
    assert outcome.operation is not None  # noqa: S101  # the use case's contract
    operations.wait(outcome.operation, WAIT_S)
    return redirect(reverse("container", args=[container.name]) + "?tab=exec")


@page("operator")
def commit(request: PageRequest, reference: str) -> HttpResponse:
    container = find_container(request.host, reference)
    form = Form(request.POST if request.method == "POST" else {"name": f"{container.name}:latest"})
    status = 200
    if request.method == "POST":
        try:
            name = full_name(form.value("name").strip())
            use_cases.commit_container(request.actor, container, name)
            messages.info(request, _("The image {name} is being made: the list shows how far it is.").format(name=name))
            return redirect("images")
        except CnmError as error:
            form.refuse(error)
            status = status_of(error)
    return render(request, "containers/commit.html", {"container": container, "form": form}, status=status)
