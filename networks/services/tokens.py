"""Bearer tokens for scripts."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.utils import timezone

from networks import feed
from networks.cnm.errors import Conflict
from networks.cnm.text import gettext_noop
from networks.composed import composed
from networks.models import ApiToken, User

from .actor import Actor, require
from .operations import record

PREFIX = "cnm_"
_LAST_USED_GRAIN = timedelta(minutes=1)
_by_digest = composed(lambda digest: ApiToken.objects.select_related("user").filter(digest=digest)[:1])


def create_token(
    actor: Actor, user: User, name: str, role: str, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """A new token and its secret, which is shown this once. Nobody gives more than they have."""
    require(actor, role)
    if user.tokens.filter(name=name).exists():
        raise Conflict(
            gettext_noop("There is a token called {name} already."),
            remedy=gettext_noop("Choose another name."),
            field="name",
            name=name,
        )
    secret = PREFIX + secrets.token_urlsafe(32)
    with feed.transaction(actor.name):
        token = ApiToken.objects.create(
            user=user, name=name, role=role, expires_at=expires_at, prefix=secret[:8], digest=digest_of(secret)
        )
        record(actor, "token.create", token, {"name": name, "role": role})
    return token, secret


def revoke(actor: Actor, token: ApiToken) -> None:
    """Make a token worthless from now on."""
    if token.user.username != actor.name:
        require(actor, "admin")
    with feed.transaction(actor.name):
        record(actor, "token.revoke", token, {"name": token.name})
        token.delete()


def authenticate(secret: str) -> ApiToken | None:
    """The token that *secret* belongs to, if it is still good."""
    now = timezone.now()
    token = _by_digest.first(digest_of(secret))
    if token is None or not token.user.is_active or (token.expires_at is not None and token.expires_at <= now):
        return None
    if token.last_used_at is None or now - token.last_used_at > _LAST_USED_GRAIN:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def digest_of(secret: str) -> str:
    """What is kept of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()
