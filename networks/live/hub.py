"""One ear of this process on the channel layer: it wakes every open page when there is news.

The layer says only that there is news, so that a lost message costs nothing: pages read the events from the table, and look by
themselves now and then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer

from networks.feed import GROUP

log = logging.getLogger(__name__)

RETRY_S = 1.0
JOIN_AGAIN_S = 3600.0
"""The layer forgets members after a day."""

_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


class Hub:
    """Listens while anybody is subscribed."""

    def __init__(self) -> None:
        self._bells: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    def subscribe(self) -> asyncio.Event:
        """An event that is set at each news; the subscriber clears it."""
        bell = asyncio.Event()
        self._bells.add(bell)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen())
        return bell

    async def unsubscribe(self, bell: asyncio.Event) -> None:
        self._bells.discard(bell)
        if self._bells or self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def ring(self) -> None:
        for bell in self._bells:
            bell.set()

    async def _listen(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            return
        while True:
            try:
                channel = await layer.new_channel()
                await self._hear(layer, channel)
            except (OSError, ConnectionError, TimeoutError) as error:
                log.warning("no news from the channel layer: %s", error)
            except Exception as error:  # a Redis error of whatever kind: pages look by themselves meanwhile
                log.warning("the channel layer failed: %s", error)
            await asyncio.sleep(RETRY_S)

    async def _hear(self, layer: object, channel: str) -> None:
        joined = 0.0
        while True:
            if time.monotonic() - joined > JOIN_AGAIN_S or not joined:
                await layer.group_add(GROUP, channel)  # type: ignore[attr-defined]  # the layer is a setting
                joined = time.monotonic()
                self.ring()  # news may have come before we had joined
            with suppress(TimeoutError):
                await asyncio.wait_for(layer.receive(channel), JOIN_AGAIN_S)  # type: ignore[attr-defined]
                self.ring()


def hub() -> Hub:
    """The hub of the running loop."""
    loop = asyncio.get_running_loop()
    found = _hubs.get(loop)
    if found is None:
        found = _hubs[loop] = Hub()
    return found
