"""People who sign in."""

from __future__ import annotations

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError

from networks import feed
from networks.cnm.errors import Conflict, InvalidSpec, NotFound
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
    """Let another person in."""
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


def find_user(name: str) -> User:
    """The person called *name*. Raises :class:`NotFound`."""
    user = User.objects.filter(username=name).first()
    if user is None:
        raise NotFound(
            gettext_noop("There is no user called {name}."), remedy=gettext_noop("See the list of users."), name=name
        )
    return user


def update_user(
    actor: Actor, user: User, *, role: str | None = None, active: bool | None = None, password: str | None = None
) -> User:
    """Change what is given. Who is no longer active, or has a new password, is signed out everywhere.

    The last active admin stays one: nobody could sign in to mend it.
    """
    require(actor, "admin")
    if password is not None:
        check_password("password", password, user)
    with feed.transaction(actor.name):
        user = User.objects.select_for_update().get(pk=user.pk)
        was_admin = user.is_active and user.role == Role.ADMIN
        changes: dict[str, object] = {}
        if role is not None and role != user.role:
            user.role = changes["role"] = role
        if active is not None and active != user.is_active:
            user.is_active = changes["active"] = active
        if password is not None:
            user.set_password(password)
            changes["password"] = True
        if was_admin and not (user.is_active and user.role == Role.ADMIN) and not _others(user):
            raise Conflict(
                gettext_noop("{name} is the last admin."),
                remedy=gettext_noop("Make somebody else an admin first."),
                field="role",
                name=user.username,
            )
        if changes:
            user.save(update_fields=["role", "is_active", "password"])
            record(actor, "user.update", user, {"name": user.username, **changes})
    return user


def _others(user: User) -> bool:
    return User.objects.filter(role=Role.ADMIN, is_active=True).exclude(pk=user.pk).exists()


def check_password(field: str, password: str, user: User) -> None:
    """Raises :class:`InvalidSpec`, at *field*, for a password that is too easily guessed."""
    try:
        password_validation.validate_password(password, user)
    except ValidationError as error:
        raise InvalidSpec("{sentence}", field=field, sentence=" ".join(error.messages)) from None
