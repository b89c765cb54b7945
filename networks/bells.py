"""What a web process does once for all of its open pages, and only while one of them wants it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any, Self
from weakref import WeakKeyDictionary

from .ending import end

_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[type[Bells], Any]] = WeakKeyDictionary()


class Bells(ABC):
    """Works while anybody is subscribed, and rings for each of them when there is something new."""

    def __init__(self) -> None:
        self._bells: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def here(cls) -> Self:
        """The one of the running loop."""
        found: Self = _of_loops.setdefault(asyncio.get_running_loop(), {}).setdefault(cls, cls())
        return found

    @abstractmethod
    async def work(self) -> None:
        """Until it is cancelled."""

    def subscribe(self) -> asyncio.Event:
        """An event that is set when there is something new; the subscriber clears it."""
        bell = asyncio.Event()
        self._bells.add(bell)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self.work())
        return bell

    async def unsubscribe(self, bell: asyncio.Event) -> None:
        """Let go of *bell*; returns, where it was the last one, when the work has ended."""
        self._bells.discard(bell)
        if self._bells or self._task is None:
            return
        task, self._task = self._task, None
        await end({task})
        if not task.cancelled():
            task.result()

    def ring(self) -> None:
        for bell in self._bells:
            bell.set()
