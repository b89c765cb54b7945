"""A circuit breaker: a plugin that does not answer is left alone for a while, so that it holds up nobody but its own networks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 60.0


@dataclass(slots=True)
class Breaker:
    """Closed while all is well; opened by a failure, for a pause that doubles with each failure in a row. After the pause one call
    is let through, whose outcome decides."""

    clock: Callable[[], float] = time.monotonic
    reason: str = ""
    """Why it opened last; empty while it is closed."""
    _pause_s: float = field(default=0.0, init=False)
    _until: float = field(default=0.0, init=False)

    @property
    def is_closed(self) -> bool:
        return not self.reason

    def lets_through(self) -> bool:
        """Whether a call may be tried now."""
        return self.is_closed or self.clock() >= self._until

    def wait_s(self) -> float:
        """Seconds until the next call may be tried; 0 when one may."""
        return 0.0 if self.is_closed else max(self._until - self.clock(), 0.0)

    def failed(self, reason: str) -> None:
        self._pause_s = min(self._pause_s * 2 or FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._until = self.clock() + self._pause_s
        self.reason = reason

    def worked(self) -> None:
        self.reason, self._pause_s, self._until = "", 0.0, 0.0
