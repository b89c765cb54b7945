"""Who reaches whom: the matrix as a page, a cell leads to its trace; what differs since a kept moment is marked."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from networks import reachability
from networks.caught_up import wait_for_look
from networks.cnm.trace.walk import OUTSIDE
from networks.models import Moment
from networks.services.moments import find_moment, keep_moment
from networks.tracing import PROTOCOLS

from ..base import PageRequest, page
from ..parties import NAMED, listed, outsides, senders
from ..way_back import only_post
from .audit import VERDICTS


@page()
def matrix(request: PageRequest) -> HttpResponse:
    port, protocol = _number(request.GET.get("port", "")), request.GET.get("protocol", "tcp")
    protocol = protocol if protocol in PROTOCOLS and protocol != "icmp" else "tcp"
    since = _number(request.GET.get("since", ""))
    then = find_moment(request.host, since) if since else None
    wait_for_look(request.host)
    found = reachability.matrix(request.host, port if port <= 65535 else 0, protocol)
    differing = list(reachability.differences(then.data, found)) if then is not None and found is not None else []
    changed = {(name, target) for one in differing for name in one.sources for target in one.targets}
    context: dict[str, Any] = {
        "tables": [_table(name, part, changed) for name, part in _parts(found) if part["targets"]],
        "seen": found is not None,
        "differences": [
            {
                "sources": senders(one.sources),
                "targets": listed(one.targets),
                "before": _word(one.before),
                "after": _word(one.after),
            }
            for one in differing
        ],
        "moments": [(str(row.pk), f"{row.note or row.by} {row.at:%Y-%m-%d %H:%M}") for row in _moments(request)],
        "since": str(since or ""),
        "then": then,
        "port": port or "",
        "protocol": protocol,
        "protocols": [one for one in PROTOCOLS if one != "icmp"],
    }
    return render(request, "reachability.html", context)


@only_post
@page()
def keep(request: PageRequest) -> HttpResponse:
    moment = keep_moment(request.actor, request.host, request.POST.get("note", "").strip()[:120])
    messages.success(request, _("Kept. What differs from now on is marked."))
    return redirect(f"{reverse('reachability')}?since={moment.pk}")


def _parts(found: dict[str, Any] | None) -> list[tuple[str, dict[str, Any]]]:
    return [("IPv4", found), ("IPv6", found["ipv6"])] if found else []


def _table(name: str, part: dict[str, Any], changed: set[tuple[str, str]]) -> dict[str, Any]:
    rows = zip(part["sources"], part["verdicts"], strict=True)
    return {
        "name": name,
        "columns": [_target(target) for target in part["targets"]],
        "rows": [
            {
                **_source(source),
                "cells": [
                    _cell(source, target, verdict, changed, part["addresses"])
                    for target, verdict in zip(part["targets"], row, strict=True)
                ],
            }
            for source, row in rows
        ],
    }


def _moments(request: PageRequest) -> Any:
    return Moment.objects.filter(host=request.host).defer("data")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _source(source: dict[str, Any]) -> dict[str, Any]:
    names = outsides(source["members"]) if source["kind"] == OUTSIDE else source["members"]
    return {"kind": source["kind"], "names": names[:NAMED], "more": max(0, len(names) - NAMED), "all": ", ".join(names)}


def _target(target: dict[str, Any]) -> dict[str, Any]:
    names = [reachability.spelled(member) for member in target["members"]]
    return {"kind": target["kind"], "names": names[:NAMED], "more": max(0, len(names) - NAMED), "all": ", ".join(names)}


def _cell(
    source: dict[str, Any],
    target: dict[str, Any],
    verdict: str,
    changed: set[tuple[str, str]],
    addresses: dict[str, str],
) -> dict[str, Any]:
    """A verdict, with the address of the trace of one of its pairs."""
    sender = source["members"][0]
    name, protocol, port = next((m for m in target["members"] if m[0] != sender), target["members"][0])
    # A name is called by IPv4 where it has that; by IPv6 the trace is of the address.
    called = addresses[name] if ":" in addresses.get(name, "") else name.removeprefix("host ")
    query = {"from": sender, "to": called, "protocol": protocol, "port": port}
    if source["kind"] == OUTSIDE:
        device, _space, span = sender.partition(" ")
        query |= {"from": span.partition("-")[0], "interface": device}
    marks = {(one, reachability.spelled(m)) for one in source["members"] for m in target["members"]}
    word, tone, icon = VERDICTS.get(verdict, ("", "idle", ""))
    return {
        "word": word,
        "tone": tone,
        "icon": icon,
        "changed": bool(marks & changed),
        "url": f"{reverse('trace')}?{urlencode(query)}",
        "text": f"{_source(source)['names'][0]} → {reachability.spelled((name, protocol, port))}",
    }


def _word(verdict: str) -> str:
    return str(VERDICTS[verdict][0]) if verdict in VERDICTS else _("not there")
