"""Hosts, their rules and drift, images, operations, activity, tokens and the feed over REST."""

from __future__ import annotations

from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from networks import audit, feed, represent
from networks.cnm.errors import InvalidSpec, NotFound
from networks.cnm.text import gettext_noop
from networks.models import Activity, ApiToken, Container, Drift, Host, Image, Network, Operation
from networks.models.choices import Role
from networks.services import drift as drift_services
from networks.services import images as image_services
from networks.services import operations as operation_services
from networks.services import tokens as token_services
from networks.services.body import Body
from networks.services.find import find_host, find_image, find_operation

from . import schemas
from .base import CnmView
from .documented import documented
from .lists import listed


class Hosts(CnmView):
    @documented("List hosts", answer=schemas.Host, many=True)
    def get(self, request: Request) -> Response:
        return listed(request, Host.objects.all(), represent.host, sorts={"name": "name"})


class OneHost(CnmView):
    @documented("Show a host", answer=schemas.Host)
    def get(self, request: Request, name: str) -> Response:
        return Response(represent.host(find_host(name)))


class FirewallRules(CnmView):
    @documented(
        "List every rule of the host with its owner and reason",
        answer=schemas.Rule,
        many=True,
        filters=("family", "table", "chain", "owner", "q"),
    )
    def get(self, request: Request) -> Response:
        wanted = {name: request.query_params.get(name, "") for name in ("family", "table", "chain", "owner", "q")}
        found = audit.filtered(audit.rules(self.host), **wanted)
        return Response({"count": len(found), "chains": audit.chains(self.host), "results": found})


class Drifts(CnmView):
    @documented("List what differs from what was asked", answer=schemas.Drift, many=True, filters=("kind", "resolved"))
    def get(self, request: Request) -> Response:
        rows = represent.prepared(Drift).filter(host=self.host)
        if "resolved" not in request.query_params:
            rows = rows.filter(resolved_at=None)
        filters = {"kind": "kind", "resolved": "resolved_at__isnull"}
        return listed(request, rows, represent.drift, filters=filters, search=("text",))


class Repair(CnmView):
    @documented("Mend drift", body=schemas.RepairRequest, answer=schemas.Operation, write=True)
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        given = body.given("drift")
        ids = [body_id(field, value) for field, value in body.items("drift")]
        body.finish()
        outcome = drift_services.repair(self.actor, self.host, ids if given else None)
        return self.answer(outcome, body={"repaired": True})


class Look(CnmView):
    @documented("Compare everything with the kernel now", answer=schemas.Operation, write=True)
    def post(self, request: Request) -> Response:
        return self.answer(drift_services.look(self.actor, self.host), body={"looked": True})


def body_id(field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**62:
        raise InvalidSpec(gettext_noop("An id is a whole number."), field=field)
    return value


class Images(CnmView):
    @documented("List images", answer=schemas.Image, many=True, filters=("name", "status"))
    def get(self, request: Request) -> Response:
        rows = represent.prepared(Image).filter(host=self.host)
        return listed(
            request,
            rows,
            represent.image,
            filters={"name": "name", "status": "status"},
            search=("name",),
            sorts={"name": "name", "created_at": "created_at"},
        )

    @documented("Import an image", body=schemas.ImageRequest, answer=schemas.Image, status=201, write=True)
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        name, source = body.text("name", most=255), body.text("source", most=500)
        body.finish()
        return self.write(lambda: image_services.import_image(self.actor, self.host, name, source), created=True)


class OneImage(CnmView):
    @documented("Show an image", answer=schemas.Image)
    def get(self, request: Request, ref: str) -> Response:
        return Response(represent.image(find_image(self.host, ref)))

    @documented("Remove an image", status=204, write=True)
    def delete(self, request: Request, ref: str) -> Response:
        return self.write(lambda: image_services.remove_image(self.actor, find_image(self.host, ref)))


class Operations(CnmView):
    @documented(
        "List operations, the newest first", answer=schemas.Operation, many=True, filters=("state", "verb", "subject")
    )
    def get(self, request: Request) -> Response:
        rows = represent.prepared(Operation).filter(host=self.host)
        filters = {"state": "state", "verb": "verb", "subject": "subject_name"}
        return listed(
            request,
            rows,
            represent.operation,
            filters=filters,
            sorts={"number": "number"},
            search=("subject_name", "verb"),
        )


class OneOperation(CnmView):
    @documented("Show an operation with its plan", answer=schemas.Operation)
    def get(self, request: Request, ref: str) -> Response:
        return Response(represent.operation(find_operation(ref), full=True))


class RetryOperation(CnmView):
    @documented("Do again what failed", answer=schemas.Operation, write=True)
    def post(self, request: Request, ref: str) -> Response:
        again = operation_services.retry(self.actor, find_operation(ref))
        if request.query_params.get("wait") != "0":
            again = operation_services.wait(again)
        return Response(represent.operation(again, full=True), status=200 if again.finished else 202)


class Activities(CnmView):
    @documented(
        "List who did what, the newest first", answer=schemas.Activity, many=True, filters=("actor", "verb", "subject")
    )
    def get(self, request: Request) -> Response:
        filters = {"actor": "actor", "verb": "verb", "subject": "subject_name"}
        return listed(
            request,
            Activity.objects.all(),
            represent.activity,
            filters=filters,
            search=("subject_name", "verb", "actor"),
        )


class Me(CnmView):
    @documented("Show who asks", answer=schemas.User)
    def get(self, request: Request) -> Response:
        return Response(represent.user(request.user) | {"effective_role": self.actor.role})


class Tokens(CnmView):
    @documented("List tokens: one's own, for admins everybody's", answer=schemas.Token, many=True)
    def get(self, request: Request) -> Response:
        rows = represent.prepared(ApiToken)
        if not self.actor.may(Role.ADMIN):
            rows = rows.filter(user=request.user)
        return listed(request, rows, represent.token, sorts={"name": "name", "created_at": "created_at"})

    @documented(
        "Create a token; its secret is in this answer only",
        body=schemas.TokenRequest,
        answer=schemas.NewToken,
        status=201,
    )
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        name = body.text("name", most=64)
        role = body.choice("role", Role.VIEWER, tuple(Role.values))
        expires = body.text("expires_at", "")
        body.finish()
        at = parse_datetime(expires) if expires else None
        if expires and (at is None or at.tzinfo is None):
            raise InvalidSpec(
                gettext_noop("{value} is not a time."),
                field="expires_at",
                value=repr(expires),
                remedy=gettext_noop("Give RFC 3339 with a zone, such as 2030-01-01T00:00:00Z."),
            )
        token, secret = token_services.create_token(self.actor, request.user, name, role, at)
        return Response(represent.token(token) | {"token": secret}, status=201)


class OneToken(CnmView):
    @documented("Revoke a token", status=204)
    def delete(self, request: Request, ref: str) -> Response:
        rows = ApiToken.objects.all() if self.actor.may(Role.ADMIN) else request.user.tokens.all()
        token = rows.filter(pk=int(ref)).first() if ref.isascii() and ref.isdigit() and len(ref) < 18 else None
        if token is None:
            raise NotFound(gettext_noop("There is no token {ref}."), ref=ref)
        token_services.revoke(self.actor, token)
        return Response(status=204)


class Topology(CnmView):
    @documented("Show hosts, networks and containers at once, for a graph", answer=schemas.Topology)
    def get(self, request: Request) -> Response:
        return Response(
            {
                "hosts": [represent.host(row) for row in Host.objects.all()],
                "networks": [represent.network(row) for row in represent.prepared(Network)],
                "containers": [represent.container(row) for row in represent.prepared(Container)],
            }
        )


class Events(CnmView):
    @documented("List what changed after an event, or a snapshot where that is not known", filters=("since", "epoch"))
    def get(self, request: Request) -> Response:
        since, epoch = request.query_params.get("since", ""), request.query_params.get("epoch", "")
        events = feed.since(int(since), epoch) if since.isascii() and since.isdigit() and len(since) < 18 else None
        if events is None:
            return Response({"type": "snapshot", **feed.snapshot()})
        return Response({"type": "events", "epoch": epoch, "events": events})
