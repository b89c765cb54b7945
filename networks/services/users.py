"""People who sign in."""

from __future__ import annotations

from networks import feed
from networks.cnm.errors import Conflict
from networks.cnm.text import gettext_noop
from networks.models import User
from networks.models.choices import Role

from .actor import Actor, require
from .operations import record


def ensure_admin(name: str, password: str) -> bool:
    """Make the first admin; False when there is one already (nothing is changed then)."""
    if User.objects.filter(role=Role.ADMIN).exists():
        return False
    User.objects.create_user(username=name, password=password, role=Role.ADMIN)
    return True


def create_user(actor: Actor, name: str, password: str, role: str) -> User:
    require(actor, "admin")
    if User.objects.filter(username=name).exists():
        raise Conflict(
            gettext_noop("There is a user called {name} already."),
            remedy=gettext_noop("Choose another name."),
            field="name",
            name=name,
        )
    with feed.transaction(actor.name):
        user = User.objects.create_user(username=name, password=password, role=role)
        record(actor, "user.create", user, {"name": name, "role": role})
    return user
