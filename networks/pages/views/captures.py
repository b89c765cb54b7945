"""Packet captures: the tab of a container or a network, starting, stopping, taking along, deleting."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from networks import represent
from networks.captures import file_name
from networks.cnm.capture import LARGEST, LONGEST_S
from networks.cnm.errors import CnmError
from networks.cnm.text import gettext_noop
from networks.models import Capture, Container, Network
from networks.services import captures
from networks.services.body import bad

from ..base import PageRequest, page, report, status_of
from ..form import Form
from ..way_back import only_post
from ..words import CAPTURE_ENDS

MIB = 1 << 20
SHOWN = 20
DEFAULTS = {"seconds": "60", "size": "10", "snap_length": "65535"}


def capture_tab(request: PageRequest, subject: Container | Network) -> dict[str, Any] | HttpResponse:
    """The captures of an object, and a form for the next one; with a POST it is begun."""
    form, status = Form(request.POST if request.method == "POST" else DEFAULTS), 200
    if request.method == "POST":
        try:
            _start(request, form)
            return redirect(reverse(_kind(subject), args=[subject.name]) + "?tab=captures")
        except CnmError as error:
            form.refuse(error)
            status = status_of(error)
    rows = Capture.objects.filter(subject_id=subject.pk)[:SHOWN]
    shown = [
        represent.capture(row)
        | {
            "short_id": row.pk[:12],
            "words": str(captures.PacketFilter.from_json(row.filter)),
            "why": CAPTURE_ENDS.get(row.reason, ""),
            "open": row.state in {Capture.WAITING, Capture.RUNNING},
            "error": row.operation.error if row.operation is not None else None,
        }
        for row in rows.select_related("operation")
    ]
    protocols = [(name, name.upper() if name else _("all")) for name in captures.PROTOCOLS]
    return {
        "captures": shown,
        "form": form,
        "status": status,
        "protocols": protocols,
        "longest": LONGEST_S,
        "largest": LARGEST // MIB,
        "lengths": [(65535, _("all of it")), (96, _("headers: 96 bytes"))],
    }


def _kind(subject: Container | Network) -> str:
    return "container" if isinstance(subject, Container) else "network"


def _start(request: PageRequest, form: Form) -> None:
    fields = ("container", "network", "protocol", "host")
    body: dict[str, Any] = {name: form.value(name).strip() for name in fields}
    for name in ("port", "seconds", "size", "snap_length"):
        if form.value(name).strip():
            body[name] = form.integer(name)
    if isinstance(size := body.get("size"), int):
        body["size"] = size * MIB
        if not 1 <= size <= LARGEST // MIB:  # told in the form's unit
            raise bad(
                "size",
                gettext_noop("{name} is a whole number from {least} to {most}."),
                gettext_noop("Give such a number."),
                name="size",
                least=1,
                most=LARGEST // MIB,
            )
    captures.start_capture(request.actor, request.host, captures.read_capture(body))


@only_post
@page("operator")
def stop(request: PageRequest, reference: str) -> HttpResponse:
    capture = captures.find_capture(request.host, reference)
    captures.stop_capture(request.actor, capture)
    return _back(capture)


@only_post
@page("operator")
def remove(request: PageRequest, reference: str) -> HttpResponse:
    capture = captures.find_capture(request.host, reference)
    report(request, captures.remove_capture(request.actor, capture).operation, _("The capture was deleted."))
    return _back(capture)


@page("operator")
def download(request: PageRequest, reference: str) -> FileResponse:
    capture = captures.find_capture(request.host, reference)
    file = captures.take_along(request.actor, capture)
    return FileResponse(file, as_attachment=True, filename=file_name(capture))


def _back(capture: Capture) -> HttpResponse:
    return redirect(reverse(capture.subject_kind, args=[capture.subject_name]) + "?tab=captures")
