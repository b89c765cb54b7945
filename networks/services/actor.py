"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

from networks.cnm.errors import Forbidden
from networks.cnm.text import gettext_noop
from networks.models.choices import Role

_ORDER = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person or a program, with what it may do and by which face it came."""

    name: str
    role: str
    via: str = "api"
    request_id: str = ""
    queue_anyway: bool = False
    """Whether its writes may wait for a host that does not answer now (``?wait=0``)."""

    def may(self, role: str) -> bool:
        return _ORDER.index(Role(self.role)) >= _ORDER.index(Role(role))


def lesser(one: str, other: str) -> str:
    """The role of the two that may do less."""
    return min(Role(one), Role(other), key=_ORDER.index)


def require(actor: Actor, role: str) -> None:
    """Raises :class:`Forbidden` unless *actor* has at least *role*."""
    if not actor.may(role):
        raise Forbidden(
            gettext_noop("This needs the role {role}, and {name} is {actual}."),
            remedy=gettext_noop("Ask an admin for the role."),
            role=role,
            name=actor.name,
            actual=actor.role,
        )
