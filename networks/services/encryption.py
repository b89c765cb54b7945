"""Use cases of the keys by which hosts encrypt overlay networks."""

from __future__ import annotations

from dataclasses import dataclass

from networks import associations, feed
from networks.models import SecurityAssociation

from .actor import Actor, require
from .operations import record


@dataclass(frozen=True, slots=True)
class Rotation:
    """What came of asking for other keys, in directions between two hosts."""

    begun: int
    """Directions in which an exchange begins."""
    under_way: int
    """Those in which it does now: a host that is silent takes its part when it is back."""


def rotate_keys(actor: Actor) -> Rotation:
    """Exchange every key for another, while packets flow. Each step is an operation of one host."""
    require(actor, "admin")
    with feed.transaction(actor.name):
        begun = associations.rotate()
        record(actor, "encryption.rotate", None, {"begun": begun})
    return Rotation(begun, SecurityAssociation.objects.filter(used_at=None).count())
