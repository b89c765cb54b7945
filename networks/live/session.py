"""Whose session a WebSocket belongs to, asked anew each time: a person may sign out, or be shut out, while it is open."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user

from networks.models import User

HOST_LOOKED_AT = "host"
"""The session's word for the host that pages are about."""


def user_of(scope: Mapping[str, Any]) -> User | None:
    """The person, if the session is still good and they may still sign in. Queries the database."""
    session = scope.get("session")
    if session is None or not session.session_key:
        return None
    store = import_module(settings.SESSION_ENGINE).SessionStore
    user = get_user(_Request(store(session.session_key)))  # type: ignore[arg-type]  # it reads the session alone
    return user if isinstance(user, User) and user.is_active else None


class _Request:
    """What ``django.contrib.auth.get_user`` looks at: a session, read anew."""

    def __init__(self, session: Any) -> None:
        self.session = session
