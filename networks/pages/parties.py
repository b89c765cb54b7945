"""Who reaches whom, in words: parties as the matrix knows them, the world outside cut short."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from networks import reachability
from networks.cnm.reach_words import FAR
from networks.tracing import THIS_HOST

NAMED = 3
"""Members of a group that are named; the rest is counted."""


def outsides(members: Sequence[str]) -> list[str]:
    """Intervals of addresses; the group of the internet at large stands for all that no rule speaks of."""
    for name in members:
        device, low, high = reachability.interval(name)
        if low <= int(FAR[6 if ":" in name else 4]) <= high:
            return [_("everybody else, by {device}").format(device=device)]
    return [_outside(name) for name in members]


def _outside(name: str) -> str:
    device, _space, span = name.partition(" ")
    low, _dash, high = span.partition("-")
    return f"{low} ({device})" if low == high else f"{low} – {high} ({device})"


def listed(names: Sequence[str]) -> str:
    """The first of *names*, and how many more there are."""
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else _("{names} and {n} more").format(names=shown, n=len(names) - NAMED)


def senders(names: Sequence[str]) -> str:
    """Those that fare alike, be they containers, this host, or somewhere outside."""
    outside = [name for name in names if " " in name]  # no name has a blank; an interval follows its device
    inside = [_("this host") if name == THIS_HOST else name for name in names if " " not in name]
    return listed([*inside, *(outsides(outside) if outside else ())])
