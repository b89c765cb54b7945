"""What a container reaches, tried out: a ping, a connection, a datagram, a name; each beside what was expected."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from networks.cnm.errors import CnmError, NotFound
from networks.models import Container, Operation
from networks.services import connectivity, operations
from networks.services.outcome import Outcome
from networks.services.trace_request import read_trace
from networks.services.verify import compared, verify
from networks.tracing import answer

from ..base import PageRequest, failure, status_of
from ..form import Form
from .audit import VERDICTS

KINDS = ("icmp", "tcp", "udp", "dns")
WAIT_S = 30.0


class _Failed(Exception):
    """An operation that did not come to anything."""


def connectivity_tab(request: PageRequest, container: Container) -> dict[str, Any]:
    """The form, and with a POST what came back."""
    form = Form(request.POST if request.method == "POST" else {"kind": "icmp", "to": request.GET.get("to", "")})
    context: dict[str, Any] = {"form": form, "kinds": _kinds(), "status": 200, "known": _known(request, container)}
    if request.method != "POST":
        return context
    try:
        if form.value("kind") == "dns":
            context["named"] = _look_up(request, container, form.value("to"))
        else:
            context |= _reach(request, container, form)
    except _Failed as error:
        context["probe_failed"] = str(error)
    except CnmError as error:
        form.refuse(error)
        context["status"] = status_of(error)
    return context


def _reach(request: PageRequest, container: Container, form: Form) -> dict[str, Any]:
    """A packet to a container, an address or ``host``; another name is looked up first, as a program would."""
    to = form.value("to").strip()
    context: dict[str, Any] = {}
    try:
        found = answer(request.host, read_trace(_question(container, form, to)))
    except NotFound:
        context["named"] = named = _look_up(request, container, to)
        if not named.addresses:
            return context
        to = named.addresses[0]
        found = answer(request.host, read_trace(_question(container, form, to)))
    operation = _waited(verify(request.actor, request.host, found.request))
    words, tone, icon = VERDICTS[found.trace.verdict]
    return context | {
        "to": to,
        "verified": compared(found, operation),
        "verdict": words,
        "tone": tone,
        "verdict_icon": icon,
        "reason": found.trace.reason.translated(_),
        "decider": found.rule_of(found.trace.outcome.decider),
        "question": found.request,
    }


def _question(container: Container, form: Form, to: str) -> dict[str, Any]:
    port = form.value("port").strip()
    kind = form.value("kind") if form.value("kind") in KINDS else "icmp"
    number: Any = int(port) if port.isascii() and port.isdigit() and len(port) < 8 else port or 0
    return {"from": container.name, "to": to, "protocol": kind, "port": 0 if kind == "icmp" else number}


def _look_up(request: PageRequest, container: Container, name: str) -> connectivity.Compared:
    operation = _waited(connectivity.look_up_inside(request.actor, container, name))
    return connectivity.compared(request.host, container, operation)


def _waited(outcome: Outcome) -> Operation:
    assert outcome.operation is not None  # noqa: S101  # these use cases always have one
    operation = operations.wait(outcome.operation, WAIT_S)
    if operation.state == "failed":
        raise _Failed(failure(operation))
    if not operation.finished:
        raise _Failed(_("It takes longer than expected: see operation {number}.").format(number=operation.number))
    return operation


def _kinds() -> list[tuple[str, str]]:
    return [
        ("icmp", _("ping (ICMP)")),
        ("tcp", _("connection (TCP)")),
        ("udp", _("datagram (UDP)")),
        ("dns", _("name (DNS)")),
    ]


def _known(request: PageRequest, container: Container) -> list[str]:
    others = Container.objects.filter(host=request.host).exclude(pk=container.pk).order_by("name")
    return ["host", *others.values_list("name", flat=True)[:500]]
