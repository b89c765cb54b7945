"""Looks that nobody waits for give way to operations that somebody waits for. Pure.

A look at a thousand sandboxes takes a second. So it asks between two of them whether something waits (:func:`pause_point`), and is
begun anew after that was carried out: what it had seen by then may have changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

ASK_EVERY_S = 0.01
MOST_TIMES = 5
"""How often one look gives way at most: a host that is always busy is looked at too."""


class Interrupted(Exception):
    """A look was given up in favour of an operation."""


@dataclass(slots=True)
class _Asking:
    is_wanted: Callable[[], bool]
    asked_at: float = 0.0


_asking: ContextVar[_Asking | None] = ContextVar("patience_asking", default=None)


def in_passing(look: Callable[[], None], is_wanted: Callable[[], bool], serve: Callable[[], None]) -> None:
    """Have a *look*. When something *is_wanted* it waits until that was *served*."""
    for _ in range(MOST_TIMES):
        try:
            with _giving_way(is_wanted):
                pause_point()
                look()
            return
        except Interrupted:
            serve()
    look()


def pause_point() -> None:
    """Where a look may be given up without harm. Does nothing for those who wait for what they look at."""
    asking = _asking.get()
    if asking is None or time.monotonic() - asking.asked_at < ASK_EVERY_S:
        return
    asking.asked_at = time.monotonic()
    if asking.is_wanted():
        raise Interrupted


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, nothing gives way: what is carried out is carried out."""
    token = _asking.set(None)
    try:
        yield
    finally:
        _asking.reset(token)


@contextmanager
def _giving_way(is_wanted: Callable[[], bool]) -> Iterator[None]:
    token = _asking.set(_Asking(is_wanted))
    try:
        yield
    finally:
        _asking.reset(token)
