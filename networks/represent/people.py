"""People and their tokens."""

from __future__ import annotations

from networks.models import ApiToken, User

from .values import Json, at


def user(row: User) -> Json:
    """A person who may sign in."""
    return {
        "id": row.pk,
        "name": row.username,
        "role": row.role,
        "active": row.is_active,
        "last_login": at(row.last_login),
    }


def token(row: ApiToken) -> Json:
    """A token without its secret."""
    return {
        "id": row.pk,
        "name": row.name,
        "prefix": row.prefix,
        "role": row.role,
        "user": row.user.username,
        "created_at": at(row.created_at),
        "expires_at": at(row.expires_at),
        "last_used_at": at(row.last_used_at),
    }
