"""Terminals in a container: opening one, closing one, and the tab that shows them."""

from __future__ import annotations

import shlex
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from networks import represent
from networks.cnm.errors import CnmError
from networks.models import Container, ExecSession
from networks.services import terminals

from ..base import PageRequest, page, status_of
from ..form import Form
from ..way_back import only_post
from ..words import ENDS, for_terminal

ENDED_SHOWN = 5


def terminal_tab(request: PageRequest, container: Container) -> dict[str, Any] | HttpResponse:
    """The open terminals of *container*, a few that ended, and the one that the address names (``?session=``).

    With a POST a terminal is opened, and the answer leads to it; a refusal stands beside its field.
    """
    form, status = Form(request.POST if request.method == "POST" else {}), 200
    if request.method == "POST":
        try:
            return _opened(request, container, form)
        except CnmError as error:
            form.refuse(error)
            status = status_of(error)
    rows = terminals.sessions_of(request.host, container)
    open_rows = [_shown(request, row) for row in rows.exclude(state=ExecSession.ENDED)]
    asked = request.GET.get("session", "")
    current = next((row for row in rows if asked and row.pk.startswith(asked)), None) if len(asked) >= 4 else None
    return {
        "open_terminals": open_rows,
        "ended_terminals": [_shown(request, row) for row in rows.filter(state=ExecSession.ENDED)[:ENDED_SHOWN]],
        "session": _shown(request, current) if current is not None else None,
        "terminal_words": for_terminal(),
        "form": form,
        "status": status,
    }


def _shown(request: PageRequest, row: ExecSession) -> dict[str, Any]:
    command = _("shell") if tuple(row.command) == terminals.SHELL else shlex.join(row.command)
    return represent.exec_session(row) | {
        "words": command,
        "short_id": row.pk[:12],
        "mine": terminals.may_use(row, request.actor.name, request.actor.role),
        "why": ENDS.get(row.reason, ""),
    }


def _opened(request: PageRequest, container: Container, form: Form) -> HttpResponse:
    outcome = terminals.open_terminal(
        request.actor,
        container,
        form.words("command"),
        user=form.value("user").strip()[:64],
        working_dir=form.value("working_dir").strip()[:512],
    )
    assert outcome.subject is not None  # noqa: S101  # the use case's contract
    to = reverse("container", args=[container.name])
    return redirect(f"{to}?tab=terminal&session={str(outcome.subject.pk)[:12]}")


@only_post
@page("operator")
def close_one(request: PageRequest, reference: str, session: str) -> HttpResponse:
    terminals.close_terminal(request.actor, terminals.find_terminal(request.host, session))
    return redirect(reverse("container", args=[reference]) + "?tab=terminal")
