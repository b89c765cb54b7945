"""Terminals in containers over REST: opened, listed, ended. Their bytes go over the WebSocket ``/ws/terminals/<id>/``."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from networks import represent
from networks.services import terminals as services
from networks.services.body import Body
from networks.services.find import find_container

from . import schemas_terminals as schemas
from .base import CnmView
from .documented import documented
from .lists import listed


class Terminals(CnmView):
    @documented(
        "List terminals in containers", answer=schemas.Terminal, many=True, filters=("container", "state", "created_by")
    )
    def get(self, request: Request) -> Response:
        filters = {"container": "container__name", "state": "state", "created_by": "created_by"}
        return listed(
            request,
            services.sessions_of(None if self.of_every_host else self.host),
            represent.exec_session,
            filters=filters,
            search=("container__name", "created_by", "pk"),
            sorts={**filters, "created_at": "created_at"},
        )


class OpenTerminal(CnmView):
    @documented(
        "Open a terminal in a container", body=schemas.TerminalRequest, answer=schemas.Terminal, status=201, write=True
    )
    def post(self, request: Request, ref: str) -> Response:
        body = Body(self.body())
        command = body.texts("command", most=1024, longest=131072)
        options = {"user": body.text("user", "", most=64), "working_dir": body.text("working_dir", "", most=512)}
        body.finish()
        return self.write(
            lambda: services.open_terminal(self.actor, find_container(self.host, ref), command, **options), created=True
        )


class OneTerminal(CnmView):
    @documented("Show a terminal", answer=schemas.Terminal)
    def get(self, request: Request, ref: str) -> Response:
        return Response(represent.exec_session(services.find_terminal(self.host, ref)))

    @documented("End a terminal", status=204, write=True)
    def delete(self, request: Request, ref: str) -> Response:
        return self.write(
            lambda: services.close_terminal(self.actor, services.find_terminal(self.host, ref)),
            body=lambda outcome: None,
            would=lambda outcome: represent.current(outcome.subject),
        )
