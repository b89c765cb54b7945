"""Hosts, their rules and drift, images, operations, activity, tokens and the feed over REST."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from networks import audit, feed, represent, rule_filters
from networks.cnm.errors import InvalidSpec, NotFound
from networks.cnm.text import gettext_noop
from networks.models import Activity, ApiToken, Drift, Host, Image, Operation
from networks.models.choices import Role
from networks.models.operation import about
from networks.services import drift as drift_services
from networks.services import hosts as host_services
from networks.services import images as image_services
from networks.services import repair as repair_services
from networks.services import tokens as token_services
from networks.services.body import Body, bad
from networks.services.find import find_host, find_image, find_operation
from networks.services.outcome import Outcome

from . import schemas, schemas_audit, schemas_hosts
from .base import CnmView, operation_body
from .documented import documented
from .lists import listed, listed_values


class Hosts(CnmView):
    @documented("List hosts", answer=schemas.Host, many=True)
    def get(self, request: Request) -> Response:
        return listed(request, Host.objects.all(), represent.host, sorts={"name": "name"}, search=("name",))


class OneHost(CnmView):
    @documented("Show a host", answer=schemas.Host)
    def get(self, request: Request, name: str) -> Response:
        return Response(represent.host(find_host(name)))

    @documented("Let a host go that is drained or lost", status=204, write=True, filters=("force",))
    def delete(self, request: Request, name: str) -> Response:
        host, force = find_host(name), self.flag("force")
        return self.write(
            lambda: host_services.remove_host(self.actor, host, force=force),
            look=host_services.looking_at(host, reached=represent.is_alive(host)),
        )


class Drain(CnmView):
    @documented("Drain a host: stop its containers, and let it start none", answer=schemas.Host, write=True)
    def post(self, request: Request, name: str) -> Response:
        Body(self.body()).finish()
        host = find_host(name)
        return self.write(lambda: host_services.drain_host(self.actor, host), look=host_services.looking_at(host))


class Activate(CnmView):
    @documented("Take up a drained host again", body=schemas_hosts.ActivateRequest, answer=schemas.Host, write=True)
    def post(self, request: Request, name: str) -> Response:
        body = Body(self.body())
        start = body.flag("start", False)
        body.finish()
        host = find_host(name)
        return self.write(
            lambda: host_services.activate_host(self.actor, host, start=start), look=host_services.looking_at(host)
        )


class FirewallRules(CnmView):
    @documented(
        "List every rule of the host with its owner and reason, in the order in which the kernel tries them",
        answer=schemas_audit.Rule,
        many=True,
        filters=rule_filters.FILTERS,
        beside={"chains": schemas_audit.Chain(many=True)},
    )
    def get(self, request: Request) -> Response:
        wanted = {name: request.query_params.get(name, "") for name in (*rule_filters.FILTERS, "q")}
        found: list[dict[str, Any]] = []
        chains: list[dict[str, Any]] = []
        for host in self.seen_hosts():
            rules, its_chains = audit.rules_and_chains(host)
            rules = rule_filters.filtered(rules, **wanted)
            found += [rule | {"host": host.name} for rule in rules] if self.of_every_host else rules
            chains += [chain | {"host": host.name} for chain in its_chains]
        name = "" if self.of_every_host else self.host.name

        def told(row: dict[str, Any]) -> dict[str, Any]:
            return {"host": name} | audit.told(row)

        return listed_values(request, found, told, sorts=rule_filters.SORTS, beside={"chains": chains})


class Drifts(CnmView):
    @documented(
        "List what differs from what was asked", answer=schemas_audit.Drift, many=True, filters=("kind", "resolved")
    )
    def get(self, request: Request) -> Response:
        rows = represent.prepared(Drift).filter(resolved_at__isnull=not self.flag("resolved"), **self.on_host())
        sorts = {"detected_at": "detected_at", "resolved_at": "resolved_at", "kind": "kind"}
        return listed(request, rows, represent.drift, filters={"kind": "kind"}, search=("text",), sorts=sorts)


class Repair(CnmView):
    @documented("Mend drift", body=schemas_audit.RepairRequest, answer=schemas.Operation, write=True)
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        given = body.given("drift")
        ids = [body_id(field, value) for field, value in body.items("drift")]
        body.finish()
        chosen = ids if given else None

        def would(outcome: Outcome) -> dict[str, object]:
            return {"mends": [represent.drift(row) for row in drift_services.mended(self.host, chosen)]}

        return self.write(
            lambda: drift_services.repair(self.actor, self.host, chosen), body=operation_body, would=would
        )


class Look(CnmView):
    @documented("Compare everything with the kernel now", answer=schemas.Operation, write=True)
    def post(self, request: Request) -> Response:
        return self.write(
            lambda: drift_services.look(self.actor, self.host), body=operation_body, would=lambda outcome: None
        )


def body_id(field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**62:
        raise bad(field, gettext_noop("An id is a whole number."), gettext_noop("See the list of drift for the ids."))
    return value


class Images(CnmView):
    @documented("List images", answer=schemas.Image, many=True, filters=("name", "status"))
    def get(self, request: Request) -> Response:
        rows = represent.prepared(Image).filter(**self.on_host())
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
        rows = represent.prepared(Operation).filter(**self.on_host())
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
        def use_case() -> Outcome:
            return Outcome(None, repair_services.retry(self.actor, find_operation(ref)))

        return self.write(use_case, body=operation_body, would=lambda outcome: None)


class Activities(CnmView):
    @documented(
        "List who did what, the newest first", answer=schemas.Activity, many=True, filters=("actor", "verb", "subject")
    )
    def get(self, request: Request) -> Response:
        filters = {"actor": "actor", "verb": "verb", "subject": "subject_name"}
        return listed(
            request,
            Activity.objects.filter(Q() if self.of_every_host else about(self.host)),
            represent.activity,
            filters=filters,
            search=("subject_name", "verb", "actor"),
            sorts={"at": "id", "actor": "actor", "verb": "verb"},
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
        sorts = {"name": "name", "created_at": "created_at"}
        return listed(request, rows, represent.token, sorts=sorts, search=("name", "user__username"))

    @documented(
        "Create a token; its secret is in this answer only",
        body=schemas.TokenRequest,
        answer=schemas.NewToken,
        status=201,
        write=True,
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
        made: dict[str, str] = {}

        def use_case() -> Outcome:
            token, made["token"] = token_services.create_token(self.actor, request.user, name, role, at)
            return Outcome(token)

        def shown_once(outcome: Outcome) -> dict[str, object]:
            return (represent.current(outcome.subject) or {}) | made

        return self.write(
            use_case, created=True, body=shown_once, would=lambda outcome: represent.current(outcome.subject)
        )


class OneToken(CnmView):
    @documented("Revoke a token", status=204, write=True)
    def delete(self, request: Request, ref: str) -> Response:
        rows = ApiToken.objects.all() if self.actor.may(Role.ADMIN) else request.user.tokens.all()
        token = rows.filter(pk=int(ref)).first() if ref.isascii() and ref.isdigit() and len(ref) < 18 else None
        if token is None:
            raise NotFound(
                gettext_noop("There is no token {ref}."),
                remedy=gettext_noop("See the list of tokens for their ids."),
                ref=ref,
            )

        def use_case() -> Outcome:
            token_services.revoke(self.actor, token)
            return Outcome(None)

        return self.write(use_case)


class Events(CnmView):
    @documented("List what changed after an event, or a snapshot where that is not known", filters=("since", "epoch"))
    def get(self, request: Request) -> Response:
        since, epoch = request.query_params.get("since", ""), request.query_params.get("epoch", "")
        asked = Host.objects.all() if self.of_every_host else [self.host]
        health = {"alive": all(map(represent.is_alive, asked)), "silent": represent.silent_hosts()}
        events = feed.since(int(since), epoch) if since.isascii() and since.isdigit() and len(since) < 18 else None
        if events is None:
            return Response({"type": "snapshot", **feed.snapshot(), **health})
        return Response({"type": "events", "epoch": epoch, "events": events, **health})
