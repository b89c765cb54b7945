"""What every view shares: who asks, the host, which parameters there are, and how a write is answered."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from networks import feed, represent
from networks.caught_up import wait_for_look
from networks.cnm.errors import InvalidSpec, from_json
from networks.cnm.names import EVERY_HOST
from networks.cnm.text import gettext_noop
from networks.models import Host
from networks.services import operations
from networks.services.actor import Actor
from networks.services.body import bad, text_value
from networks.services.find import find_host
from networks.services.outcome import Outcome
from networks.services.preview import Preview, preview

from .authentication import actor_of
from .documented import parameters_of
from .problems import problem

Describe = Callable[[Outcome], dict[str, Any] | None]
Look = Callable[[Callable[[], Outcome], Describe], Preview]
_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}


class CnmView(APIView):
    """A view that is somebody's: everyone who signs in may read; services decide about writes."""

    permission_classes = [IsAuthenticated]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        for name, value in (*kwargs.items(), *request.query_params.items()):
            text_value(name, value)
        _check_known(request, parameters_of(getattr(self, (request.method or "").lower(), None)))

    @property
    def actor(self) -> Actor:
        return actor_of(self.request)

    @cached_property
    def host(self) -> Host:
        """The host that the request is about: ``?host=``, else the only one. Read once: a view serves one request."""
        if self.of_every_host:
            raise bad("host", gettext_noop("This is about one host."), gettext_noop("Name it; lists take * for all."))
        return find_host(self.request.query_params.get("host"))

    @property
    def of_every_host(self) -> bool:
        """Whether a list of what all hosts have is asked for."""
        return self.request.query_params.get("host") == EVERY_HOST

    def on_host(self, column: str = "host") -> dict[str, Host]:
        """The condition for rows of a list, whose *column* is their host."""
        return {} if self.of_every_host else {column: self.host}

    def seen_hosts(self) -> list[Host]:
        """For lists of what the workers saw: each host that is asked about, after its look at what was last changed."""
        if not self.of_every_host:
            return [self.seen_host]
        hosts = list(Host.objects.order_by("name"))
        for host in hosts:
            wait_for_look(host)
        return hosts

    @cached_property
    def seen_host(self) -> Host:
        """The same, for who reads what the worker saw of it: after its look at what was last changed."""
        wait_for_look(self.host)
        return self.host

    def flag(self, name: str) -> bool:
        """A switch of the query: ``1`` or ``true``, ``0`` or ``false``."""
        text = self.request.query_params.get(name, "")
        if text.lower() not in _FLAGS:
            raise bad(name, gettext_noop("{name} is true or false."), gettext_noop("Give 1 or 0."), name=name)
        return _FLAGS[text.lower()]

    def body(self) -> Any:
        """The parsed JSON body; an empty one is an empty object."""
        try:
            value = self.request.data
        except RecursionError:
            raise bad("", gettext_noop("The body is nested too deeply."), gettext_noop("Give a flatter one.")) from None
        return value if value not in ("", None) else {}

    def write(
        self,
        use_case: Callable[[], Outcome],
        *,
        created: bool = False,
        body: Describe | None = None,
        would: Describe | None = None,
        look: Look | None = None,
    ) -> Response:
        """Run *use_case* and answer when the kernel has it, with *body* (default: the object as it is now).

        ``?dry_run=1``: only its plan, with what *would* be (default: the object). ``?wait=0``, or a wait that runs out: 202 with the
        operation to follow. Every write of the API goes through here, so none can forget the dry run. *look*: how its plan is found,
        where that is not on the request's host alone.
        """
        waits = self.flag("wait") or not self.request.query_params.get("wait")
        if self.flag("dry_run"):
            would = would or body or (lambda outcome: represent.current(outcome.subject))
            look = look or partial(preview, self.host)
            return Response(look(use_case, would).to_json())
        outcome = use_case()
        operation = outcome.operation
        if operation is not None:
            if waits:
                operation = operations.wait(operation)
            if operation.state == "failed" and operation.error:
                return problem(from_json(operation.error), operation.id)
            if not operation.finished:
                described = feed.last_word(outcome.subject)
                return Response({"operation": represent.operation(operation), "object": described}, status=202)
        value = body(outcome) if body is not None else feed.last_word(outcome.subject)
        if value is None:
            return Response(status=204)
        warnings = [str(warning) for warning in outcome.warnings]
        return Response(value | ({"warnings": warnings} if warnings else {}), status=201 if created else 200)


def operation_body(outcome: Outcome) -> dict[str, Any] | None:
    """For writes that are about their operation: it, with its plan and result."""
    return represent.operation(outcome.operation, full=True) if outcome.operation is not None else None


def _check_known(request: Request, known: tuple[str, ...] | None) -> None:
    """A parameter that is silently not applied (``?dryrun=1``) is worse than none."""
    for name in request.query_params if known is not None else ():
        if name not in known and name != "format":
            raise InvalidSpec(
                gettext_noop("There is no parameter {name} here."),
                remedy=gettext_noop("There are: {known}."),
                field=name,
                name=repr(name),
                known=", ".join(known),
            )
