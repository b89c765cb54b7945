"""How another host joins: an admin's token, once, for what its processes need to share our database and our messages."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.utils import timezone

from networks import feed
from networks.cnm.errors import Conflict, Forbidden, InvalidSpec, Unsupported
from networks.cnm.names import HOST_NAME
from networks.cnm.text import gettext_noop
from networks.models import Host, JoinToken

from .actor import Actor, require
from .operations import record
from .tokens import digest_of

PREFIX = "cnmjoin_"
DEFAULT_HOURS, MOST_HOURS = 1, 24 * 7


@dataclass(frozen=True, slots=True)
class Shared:
    """What a host that joins is told. Secrets, all of it."""

    database_url: str
    redis_url: str
    secret_key: str
    vxlan_port: int
    encrypted_port: int

    def to_settings(self) -> dict[str, str]:
        """As variables of the environment."""
        return {
            "CNM_DATABASE_URL": self.database_url,
            "CNM_REDIS_URL": self.redis_url,
            "CNM_SECRET_KEY": self.secret_key,
            "CNM_VXLAN_PORT": str(self.vxlan_port),
            "CNM_VXLAN_ENCRYPTED_PORT": str(self.encrypted_port),
        }


def shared() -> Shared:
    """What hosts share here. Raises :class:`Unsupported` where another host could not reach it."""
    database = settings.SHARED_DATABASE_URL or settings.DATABASE_URL
    redis = settings.SHARED_REDIS_URL or settings.REDIS_URL
    for setting, url, schemes, remedy in (
        ("CNM_DATABASE_URL", database, {"postgres", "postgresql"}, _DATABASE_REMEDY),
        ("CNM_REDIS_URL", redis, {"redis", "rediss"}, _REDIS_REMEDY),
    ):
        if urlsplit(url).scheme not in schemes or not _is_elsewhere(url):
            raise Unsupported(
                gettext_noop("No other host can join: none would reach what {setting} names."),
                remedy=remedy,
                field=setting,
                setting=setting,
            )
    ports = (settings.HOST_SETTINGS[name] for name in ("vxlan_port", "encrypted_port"))
    return Shared(database, redis, settings.SECRET_KEY, *ports)


_DATABASE_REMEDY = gettext_noop(
    "Use PostgreSQL: set CNM_DATABASE_URL, or CNM_SHARED_DATABASE_URL where others reach it by another address."
)
_REDIS_REMEDY = gettext_noop(
    "Use a Redis with a password and an address of the network: set CNM_REDIS_URL, or CNM_SHARED_REDIS_URL where others reach it by"
    " another address."
)


def _is_elsewhere(url: str) -> bool:
    """Whether *url* means the same on another host: no Unix socket, no loopback."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or unquote(host).startswith("/") or "host" in parse_qs(parts.query) or host == "localhost":
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


def create_join_token(actor: Actor, hours: int = DEFAULT_HOURS) -> tuple[JoinToken, str]:
    """Leave for one host to join within *hours* (MOST_HOURS at most); the row and the token, which is shown this once."""
    require(actor, "admin")
    shared()
    token = PREFIX + secrets.token_urlsafe(32)
    with feed.transaction(actor.name):
        row = JoinToken.objects.create(
            digest=digest_of(token), created_by=actor.name, expires_at=timezone.now() + timedelta(hours=hours)
        )
        record(actor, "host.invite", None, {"hours": hours})
    return row, token


def revoke_join_token(actor: Actor, row: JoinToken) -> None:
    """Make a token worthless."""
    require(actor, "admin")
    with feed.transaction(actor.name):
        record(actor, "host.disinvite", None, {"id": row.pk})
        row.delete()


def join(token: str, name: str) -> Shared:
    """Let the host *name* in, by a *token* that is good now and for nobody else from now on.

    Its row is made at once, without a worker: two hosts cannot join under one name.
    """
    if not HOST_NAME.match(name):
        raise InvalidSpec(
            gettext_noop("{name} is not a name of a host."),
            remedy=gettext_noop("Give letters, digits, dots and dashes, a letter or digit first; 64 at most."),
            field="name",
            name=repr(name),
        )
    actor = Actor(name=name, role="viewer", via="join")
    with feed.transaction(name):
        now = timezone.now()
        good = JoinToken.objects.filter(digest=digest_of(token), used_at=None, expires_at__gt=now)
        if not good.exists():  # first: who has none is told nothing of us
            raise Forbidden(
                gettext_noop("The join token is not known, was used, or has expired."),
                remedy=gettext_noop("Ask an admin for another one."),
                field="token",
            )
        given = shared()
        if Host.objects.filter(name=name).exists():
            raise Conflict(
                gettext_noop("There is a host {name} already."),
                remedy=gettext_noop("Give this one another name (CNM_HOST_NAME), or remove that one first."),
                field="name",
                name=name,
            )
        host = Host.objects.create(name=name)
        good.update(used_at=now, host=host)
        feed.put("host", host)
        record(actor, "host.join", host, {"name": name})
    return given
