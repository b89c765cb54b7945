"""Who sends a request: a browser's session, or a bearer token."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework.authentication import (
    BaseAuthentication,
    CSRFCheck,
    SessionAuthentication,
    get_authorization_header,
)
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from networks import refused_form
from networks.models import ApiToken, User
from networks.services.actor import Actor, lesser
from networks.services.tokens import authenticate


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer cnm_…``"""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        token = authenticate(words[1].decode(errors="replace")) if len(words) == 2 else None
        if token is None:
            raise AuthenticationFailed(_("The token is not known, has expired, or was revoked."))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BrowserAuthentication(SessionAuthentication):
    """A signed-in browser; writes need the CSRF token."""

    def enforce_csrf(self, request: Request) -> None:
        check = CSRFCheck(_nobody)
        check.process_request(request)
        reason = check.process_view(request, None, (), {})
        if reason:
            raise RefusedForm(str(reason))


def _nobody(_request: HttpRequest) -> HttpResponseBase:
    raise AssertionError("the check alone is asked")


class RefusedForm(PermissionDenied):
    """What a page sent does not prove to come from it. Its remedy is another than a role."""

    def __init__(self, reason: str) -> None:
        sentence, remedy = refused_form.words(refused_form.cause(reason, signed_in=True))
        super().__init__(sentence.translated(_))
        self.remedy = remedy.translated(_)


def actor_of(request: Request) -> Actor:
    """The person behind a request, with the lesser of their own and their token's role."""
    user, token = request.user, request.auth
    role = lesser(user.role, token.role) if isinstance(token, ApiToken) else user.role
    return Actor(
        name=user.username,
        role=role,
        via="api",
        request_id=request.headers.get("X-Request-Id", "")[:64] or uuid.uuid4().hex,
        queue_anyway=request.query_params.get("wait", "").lower() in {"0", "false"},
    )
