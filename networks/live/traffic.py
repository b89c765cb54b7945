"""Traffic for the open pages of this process: one asks Redis for all of them, while any of them shows it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from channels.db import database_sync_to_async
from redis.exceptions import RedisError

from networks import traffic
from networks.bells import Bells
from networks.models import Host

log = logging.getLogger(__name__)


class Reader(Bells):
    """Only the latest samples are kept: who is slow misses some, and nothing piles up."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, traffic.Sample] = {}
        self.ports = 0
        """How many of those that look want to see published ports too."""

    async def work(self) -> None:
        self.latest = {}  # what was read before nobody looked is old
        while True:
            found: dict[str, traffic.Sample] = {}
            try:
                found = await database_sync_to_async(_ask)(self.ports > 0)
            except (RedisError, OSError) as error:
                log.info("no traffic: %s", error)
            if found != self.latest:
                self.latest = found
                self.ring()
            await asyncio.sleep(traffic.EVERY_S)


def _ask(ports: bool) -> dict[str, traffic.Sample]:
    traffic.ask(ports=ports)
    return traffic.latest(Host.objects.values_list("name", flat=True))


async def show(send: Any, *, ports: bool) -> None:
    """Send each new sample by *send*, one after the other, until cancelled. *ports*: what is published is looked at too."""
    reader = Reader.here()
    reader.ports += ports
    bell = reader.subscribe()
    try:
        while True:
            await bell.wait()
            bell.clear()
            await send({"type": "traffic", "hosts": reader.latest})
    finally:
        reader.ports -= ports
        await reader.unsubscribe(bell)
