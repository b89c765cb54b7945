"""The past over REST: what there was at a moment, and what differs between two."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from networks import history
from networks.cnm.text import gettext_noop
from networks.models import Host
from networks.services.body import bad

from . import schemas_history as schemas
from .base import CnmView
from .documented import documented


class Span(CnmView):
    @documented("Show how far the past reaches, and when something happened", answer=schemas.Span)
    def get(self, request: Request) -> Response:
        return Response(history.span())


class StateThen(CnmView):
    @documented("Show what there was at a moment", answer=schemas.StateThen, filters=("at",))
    def get(self, request: Request) -> Response:
        at = _moment(request, "at")
        number, state = history.state_at(at)
        return Response({"at": at.isoformat(), "n": number, "state": state})


class RulesThen(CnmView):
    @documented("Show the rules that stood at a moment", answer=schemas.RulesThen, filters=("at", "owner"))
    def get(self, request: Request) -> Response:
        return Response(history.rules_at(self.host, _moment(request, "at"), request.query_params.get("owner", "")))


class Changes(CnmView):
    @documented(
        "Show what changed between two moments, and who or what changed it",
        answer=schemas.Changes,
        filters=("since", "at"),
    )
    def get(self, request: Request) -> Response:
        at = _moment(request, "at") if "at" in request.query_params else timezone.now()
        hosts = list(Host.objects.order_by("name")) if self.of_every_host else [self.host]
        return Response(history.between(hosts, _moment(request, "since"), at))


def _moment(request: Request, name: str) -> datetime:
    """The moment that a parameter gives. Raises InvalidSpec."""
    text = request.query_params.get(name, "")
    try:
        found = parse_datetime(text)
        found = found and (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # well formed, and no such moment
        found = None
    if found is None:
        raise bad(
            name,
            gettext_noop("{value} is no moment."),
            gettext_noop("Give date and time, such as 2026-03-01T14:03:00Z."),
            value=text[:60] or "—",
        )
    return found
