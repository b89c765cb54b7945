"""The firewall's audit as pages: a packet's way, published ports, and saved rules of other hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from networks.caught_up import wait_for_look
from networks.cnm.errors import CnmError
from networks.cnm.names import EVERY_HOST
from networks.cnm.ruleset.model import IPTABLES_NFT, LEGACY
from networks.cnm.trace.walk import OUTSIDE
from networks.exposure import exposure
from networks.models import Container
from networks.observed import load_observed
from networks.services import operations
from networks.services.dumps import MOST_BYTES, TEXTS, audit_of, make_dump
from networks.services.remedies import remedies
from networks.services.trace_request import read_trace
from networks.services.verify import PROBED, compared, verify
from networks.tracing import PROTOCOLS, STATES, Answer, answer

from ..base import PageRequest, failure, page, status_of
from ..form import Form, uploaded_text
from ..way_back import only_post
from ..which_host import hosts_of
from ..words import VERDICT_WORDS

TONES = {
    "allowed": ("good", "circle-check"),
    "dropped": ("bad", "circle-x"),
    "rejected": ("bad", "circle-x"),
    "undecidable": ("warn", "circle-dashed"),
}
VERDICTS = {verdict: (VERDICT_WORDS[verdict], *tone) for verdict, tone in TONES.items()}
PHASES = {
    "": gettext_lazy("The packet"),
    "answer": gettext_lazy("Its answer"),
    "rest": gettext_lazy("What follows"),
}
NUMBERS = ("port", "source_port")
DUMPS = TEXTS
SHOWN_RULES = 2000
PROBE_WAIT_S = 8.0


NAMES = ("from", "to", "protocol", "port", "interface", "source_port", "state")


@page()
def trace(request: PageRequest) -> HttpResponse:
    """A question, and its answer below it; the question is in the address, so that an answer can be shown to others."""
    given = {name: request.GET[name] for name in NAMES if name in request.GET}
    return _trace_page(request, Form({"protocol": "tcp", "state": "new"} | given), lambda found: {})


@only_post
@page()
def probe(request: PageRequest) -> HttpResponse:
    """The same question, put to a real packet."""
    form = Form({name: request.POST[name] for name in NAMES if name in request.POST})

    def truth(found: Answer) -> dict[str, Any]:
        outcome = verify(request.actor, request.host, found.request)
        assert outcome.operation is not None  # noqa: S101  # this use case always has one
        operation = operations.wait(outcome.operation, PROBE_WAIT_S)
        if operation.state == "failed":
            return {"probe_failed": failure(operation)}
        return {"verified": compared(found, operation)}

    return _trace_page(request, form, truth)


def _trace_page(request: PageRequest, form: Form, more: Callable[[Answer], dict[str, Any]]) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "protocols": [(one, one.upper()) for one in PROTOCOLS],
        "states": [(STATES[0], _("new: opens a connection")), (STATES[1], _("established: in the middle of one"))],
        "known": ["host", *Container.objects.filter(host=request.host).values_list("name", flat=True)[:500]],
        "devices": [device.name for device in load_observed(request.host).world.devices][:200],
    }
    status = 200
    if form.value("from") or form.value("to"):
        try:
            wait_for_look(request.host)
            found = answer(request.host, read_trace(_question(form, NAMES)))
            context |= _shown(request, found)
            context |= more(found)
        except CnmError as error:
            form.refuse(error)
            status = status_of(error)
    return render(request, "trace.html", context, status=status)


def _question(form: Form, names: tuple[str, ...]) -> dict[str, Any]:
    """What was typed, as the body that the service reads."""
    given: dict[str, Any] = {name: form.value(name) for name in names if form.value(name)}
    for name in NUMBERS:
        text = given.get(name, "")
        given[name] = int(text) if text.isascii() and text.isdigit() and len(text) < 8 else text or 0
    return given


def _shown(request: PageRequest, found: Answer) -> dict[str, Any]:
    outcome = found.trace.outcome
    words, tone, icon = VERDICTS[found.trace.verdict]
    phases: list[dict[str, Any]] = []
    for step in outcome.steps:
        if not phases or phases[-1]["key"] != step.phase:
            phases.append({"key": step.phase, "title": PHASES[step.phase], "steps": []})
        row = found.rule_of(step)
        phases[-1]["steps"].append({"step": step, "rule": row, "decides": step is outcome.decider})
    return {
        "answer": found,
        "can_probe": found.trace.question.source.kind != OUTSIDE
        and found.request.protocol in PROBED
        and found.request.state == "new"
        and request.actor.may("operator"),
        "question": [(name, request.GET.get(name) or request.POST.get(name, "")) for name in NAMES],
        "verdict": words,
        "tone": tone,
        "verdict_icon": icon,
        "reason": found.trace.reason.translated(_),
        "phases": phases,
        "others": [
            {
                "verdict": VERDICTS[other.verdict][0],
                "reason": other.reason.translated(_),
                "made": [c for c in made if c.taken],
            }
            for other, made in found.trace.others[:4]
        ],
        "remedies": [
            {
                "text": remedy.text.translated(_),
                "url": reverse(remedy.page[0], args=[remedy.page[1]] if remedy.page[1] else [])
                if remedy.page[0]
                else "",
                "steps": [step["text"] for step in (remedy.plan or {}).get("steps", [])],
            }
            for remedy in remedies(request.actor, found)
        ],
    }


@page(every=True)
def exposed(request: PageRequest) -> HttpResponse:
    rows: list[dict[str, Any]] = []
    for host in hosts_of(request):
        wait_for_look(host)
        for one in exposure(host):
            reaches = [(reach, VERDICTS[reach.verdict]) for reach in one.reaches]
            rows.append({"port": one, "host": host.name, "reaches": reaches})
    context = {
        "rows": rows,
        "open": sum(1 for row in rows if row["port"].open_to_others),
        "misled": sum(1 for row in rows if row["port"].misleads),
        "asked": EVERY_HOST if request.every_host else request.host.name,
    }
    return render(request, "exposure.html", context)


@page(write="viewer", every=True)
def dump(request: PageRequest) -> HttpResponse:
    """Rules that were saved on another host: loaded, shown, and forgotten."""
    form = Form(request.POST if request.method == "POST" else {"flavour": LEGACY})
    context: dict[str, Any] = {"form": form, "flavours": [(name, name) for name in (LEGACY, IPTABLES_NFT)]}
    status = 200
    if request.method == "POST":
        try:
            texts = {name: uploaded_text(request, name, MOST_BYTES) or form.value(name) for name in DUMPS}
            flavour = form.value("flavour") if form.value("flavour") in {LEGACY, IPTABLES_NFT} else LEGACY
            found = audit_of(make_dump(texts, flavour))
            context |= {"found": found, "shown": found["rules"][:SHOWN_RULES], "total": len(found["rules"])}
        except CnmError as error:
            form.refuse(error)
            status = status_of(error)
    return render(request, "dump.html", context, status=status)
