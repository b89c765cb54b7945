"""What every view shares: who asks, the host, and how a write is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from networks import represent
from networks.cnm.errors import InvalidSpec, from_json
from networks.cnm.text import gettext_noop
from networks.models import Host
from networks.services import operations
from networks.services.actor import Actor
from networks.services.find import find_host
from networks.services.outcome import Outcome
from networks.services.preview import preview

from .authentication import actor_of
from .problems import problem


class CnmView(APIView):
    """A view that is somebody's: everyone who signs in may read; services decide about writes."""

    permission_classes = [IsAuthenticated]

    @property
    def actor(self) -> Actor:
        return actor_of(self.request)

    @property
    def host(self) -> Host:
        """The host that the request is about: ``?host=``, else the only one."""
        return find_host(self.request.query_params.get("host"))

    def body(self) -> Any:
        """The parsed JSON body; an empty one is an empty object."""
        try:
            value = self.request.data
        except RecursionError:
            raise InvalidSpec(gettext_noop("The body is nested too deeply.")) from None
        return value if value not in ("", None) else {}

    def write(self, use_case: Callable[[], Outcome], *, created: bool = False) -> Response:
        """Run *use_case* and answer when the kernel has it.

        ``?dry_run=1``: only its plan. ``?wait=0``, or a wait that runs out: 202 with the operation to follow.
        """
        if self.request.query_params.get("dry_run", "0") not in ("", "0", "false"):
            return Response(preview(self.host, use_case).to_json())
        return self.answer(use_case(), created=created)

    def answer(self, outcome: Outcome, *, created: bool = False, body: Mapping[str, Any] | None = None) -> Response:
        """The answer to a use case that was committed."""
        operation = outcome.operation
        if operation is not None:
            if self.request.query_params.get("wait") != "0":
                operation = operations.wait(operation)
            if operation.state == "failed" and operation.error:
                return problem(from_json(operation.error), operation.id)
            if not operation.finished:
                return Response({"operation": represent.operation(operation), "object": described(outcome)}, status=202)
        value = dict(body) if body is not None else described(outcome)
        if value is None:
            return Response(status=204)
        warnings = [str(warning) for warning in outcome.warnings]
        return Response(value | ({"warnings": warnings} if warnings else {}), status=201 if created else 200)


def described(outcome: Outcome) -> dict[str, Any] | None:
    """The representation of what a use case was about, as it is now; None when it is gone."""
    subject = outcome.subject
    if subject is None or subject.pk is None:
        return None
    kind = type(subject).__name__.lower()
    describe = represent.DESCRIBERS.get(kind) or getattr(represent, kind)
    row = represent.prepared(type(subject)).filter(pk=subject.pk).first()
    return describe(row) if row is not None else None
