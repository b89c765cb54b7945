"""The keys by which hosts encrypt overlay networks, over REST. The keys themselves are told to nobody."""

from __future__ import annotations

from dataclasses import asdict

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from networks import represent
from networks.models import SecurityAssociation
from networks.services import encryption
from networks.services.outcome import Outcome

from . import schemas_hosts
from .base import CnmView
from .documented import documented
from .lists import listed


class Associations(CnmView):
    @documented(
        "List what the host encrypts and decrypts by: security associations, each way for each host that it shares encrypted networks with",
        answer=schemas_hosts.Association,
        many=True,
    )
    def get(self, request: Request) -> Response:
        rows = SecurityAssociation.objects.filter(Q(sender=self.host) | Q(receiver=self.host))
        sorts = {"id": "id", "made_at": "made_at"}
        return listed(request, rows.select_related("sender", "receiver"), represent.association, sorts=sorts)


class Rotate(CnmView):
    @documented(
        "Exchange the keys of all hosts for others, while packets flow", answer=schemas_hosts.Rotation, write=True
    )
    def post(self, request: Request) -> Response:
        made: dict[str, object] = {}

        def use_case() -> Outcome:
            made.update(asdict(encryption.rotate_keys(self.actor)))
            return Outcome(None)

        return self.write(use_case, body=lambda _: made, would=lambda _: made)
