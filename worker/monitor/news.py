"""What the monitor saw, put together to notices: news is told soon, once, and our own writes are no news. Pure."""

from __future__ import annotations

from worker.notices import Notice

GATHER_S = 0.05
"""News of one moment is told together."""
ECHO_S = 0.3
"""How long after our own writes their echoes may still come."""
AT_ONCE = frozenset({"exits"})
"""Kinds of news that wait for no other: the name of a container whose process ended goes with it."""
MUTED = frozenset({"links", "rules", "legacy", "files", "sysctls", "xfrm"})
"""Kinds of news that our own writes cause."""


class News:
    """Gathers news and says when to tell it. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._gathered = Notice()
        self._since = 0.0
        self._quiet_until = 0.0

    def ours(self, now: float) -> None:
        """The kernel worker is writing at this moment."""
        self._quiet_until = now + ECHO_S

    def saw(self, kind: str, now: float, writer: str = "") -> None:
        """Something of *kind* changed; while our own writes echo, what they cause is not told at once but looked at after."""
        if not self._gathered.what:
            self._since = now
        self._gathered.what.add(kind)
        self._gathered.writer = writer or self._gathered.writer

    def due(self, now: float) -> Notice | None:
        """What is to be told now, if anything; it is forgotten here."""
        what = self._gathered.what
        at_once = what & AT_ONCE
        if at_once:
            self._gathered.what = what - AT_ONCE
            return Notice(at_once)
        if not what or now - self._since < GATHER_S:
            return None
        if now < self._quiet_until:
            told = what - MUTED
            if not told:
                return None
            self._gathered.what = what & MUTED
            return Notice(told)
        notice, self._gathered = self._gathered, Notice()
        return notice

    def wait_s(self, now: float) -> float:
        """How long nothing can be due; infinity while there is no news."""
        if not self._gathered.what:
            return float("inf")
        if self._gathered.what & AT_ONCE:
            return 0.0
        told_at = self._since + GATHER_S
        return max((told_at if self._gathered.what - MUTED else max(told_at, self._quiet_until)) - now, 0.0)
