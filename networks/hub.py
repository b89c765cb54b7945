"""One ear of this process on the channel layer: it wakes every open page when there is news.

The layer says only that there is news, so that a lost message costs nothing: pages read the events from the table, and look by
themselves now and then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from channels.layers import get_channel_layer

from networks.feed import GROUP

from .bells import Bells

log = logging.getLogger(__name__)

RETRY_S = 1.0
JOIN_AGAIN_S = 3600.0
"""The layer forgets members after a day."""


class Hub(Bells):
    """Rings at each news, and where some may have been missed."""

    async def work(self) -> None:
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
                async with asyncio.timeout(JOIN_AGAIN_S):
                    await layer.receive(channel)  # type: ignore[attr-defined]
                self.ring()
