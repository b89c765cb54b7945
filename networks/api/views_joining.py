"""Hosts that join, over REST."""

from __future__ import annotations

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from networks import represent
from networks.cnm.errors import NotFound
from networks.cnm.text import gettext_noop
from networks.models import JoinToken
from networks.services import joining
from networks.services.actor import require
from networks.services.body import Body
from networks.services.outcome import Outcome

from . import schemas_hosts
from .base import CnmView
from .documented import documented
from .lists import listed


class JoinTokens(CnmView):
    @documented("List the tokens by which hosts may join", answer=schemas_hosts.JoinToken, many=True)
    def get(self, request: Request) -> Response:
        require(self.actor, "admin")
        return listed(request, represent.prepared(JoinToken), represent.join_token, sorts={"id": "id"})

    @documented(
        "Let one host join; the token is in this answer only",
        body=schemas_hosts.JoinTokenRequest,
        answer=schemas_hosts.NewJoinToken,
        status=201,
        write=True,
    )
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        hours = body.integer("hours", joining.DEFAULT_HOURS, least=1, most=joining.MOST_HOURS)
        body.finish()
        made: dict[str, str] = {}

        def use_case() -> Outcome:
            row, made["token"] = joining.create_join_token(self.actor, hours)
            return Outcome(row)

        def shown_once(outcome: Outcome) -> dict[str, object]:
            console = request.build_absolute_uri("/")
            return (represent.current(outcome.subject) or {}) | made | {"command": f"make join CONSOLE={console}"}

        return self.write(
            use_case, created=True, body=shown_once, would=lambda outcome: represent.current(outcome.subject)
        )


class OneJoinToken(CnmView):
    @documented("Take the leave to join back", status=204, write=True)
    def delete(self, request: Request, ref: str) -> Response:
        known = ref.isascii() and ref.isdigit() and len(ref) < 18
        row = JoinToken.objects.filter(pk=int(ref)).first() if known else None
        if row is None:
            raise NotFound(
                gettext_noop("There is no join token {ref}."),
                remedy=gettext_noop("See the list of join tokens for their ids."),
                ref=ref,
            )

        def use_case() -> Outcome:
            joining.revoke_join_token(self.actor, row)
            return Outcome(None)

        return self.write(use_case)


class Join(CnmView):
    """Asked by a host that nobody knows yet: the token is all that it has."""

    permission_classes = [AllowAny]
    authentication_classes = []

    @documented("Join as a host, by a token", body=schemas_hosts.JoinRequest, answer=schemas_hosts.Joined, write=True)
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        token, name = body.text("token", most=200), body.text("name", most=64)
        body.finish()
        given: dict[str, object] = {}

        def use_case() -> Outcome:
            given["settings"] = joining.join(token, name).to_settings()
            return Outcome(None)

        return self.write(use_case, body=lambda _: given, would=lambda _: {"name": name})
