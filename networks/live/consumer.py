"""The WebSocket of open pages: where a page stands comes in its address, what it missed is sent, then what happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from networks import feed
from networks.audit import counters_at
from networks.cnm.names import EVERY_HOST
from networks.hub import Hub
from networks.models import Host
from networks.represent import is_alive, silent_hosts

from . import traffic
from .session import HOST_LOOKED_AT, user_of

SIGNED_OUT = 4401
PING_S = 10.0
LOOK_S = 2.0
"""How often a page's events are looked for though nobody told of any: the layer may be down."""
BATCH = 500
"""Events in one message at most."""


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """``snapshot`` where the page knows nothing or too old things, else ``events``; ``ping`` every ten seconds, and
    ``counters`` when those of the rules were read anew; ``traffic`` once a second where the page said ``traffic on``."""

    channel_layer_alias = ""  # a hub listens for all of this process; no channel of its own

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._task: asyncio.Task[None] | None = None
        self._traffic: asyncio.Task[None] | None = None
        self._epoch = ""
        self._host = ""
        self._n = -1
        self._counted = ""

    async def connect(self) -> None:
        await self.accept()
        if not await self._may_see():
            await self.close(SIGNED_OUT)
            return
        wanted = parse_qs(self.scope.get("query_string", b"").decode(errors="replace"))
        self._epoch = wanted.get("epoch", [""])[0]
        self._host = wanted.get("host", [""])[0]
        since = wanted.get("since", [""])[0]
        self._n = int(since) if since.isascii() and since.isdigit() and len(since) < 18 else -1
        self._task = asyncio.create_task(self._guard(self._run()))

    async def disconnect(self, code: int) -> None:
        await self._end_traffic()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **_ignored: Any) -> None:
        """Pages only listen, but for three words: that they show traffic, of links alone, and that they no longer do."""
        if text_data in {"traffic on", "traffic links"} and self._task is not None and self._traffic is None:
            shown = traffic.show(self.send_json, ports=text_data == "traffic on")
            self._traffic = asyncio.create_task(self._guard(shown))
        elif text_data == "traffic off":
            await self._end_traffic()

    async def _end_traffic(self) -> None:
        task, self._traffic = self._traffic, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception:
            await self.close(1011)
            raise

    async def _run(self) -> None:
        hub = Hub.here()
        bell = hub.subscribe()
        try:
            pinged = time.monotonic()
            await self._catch_up()
            await self._ping()
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await bell.wait()
                bell.clear()
                await self._catch_up()
                await self._count()
                if time.monotonic() - pinged >= PING_S:
                    pinged = time.monotonic()
                    if not await self._may_see():
                        await self.close(SIGNED_OUT)
                        return
                    await self._ping()
        finally:
            await hub.unsubscribe(bell)

    async def _catch_up(self) -> None:
        """Send what happened after what was sent last, or everything anew."""
        events = await database_sync_to_async(feed.since)(self._n, self._epoch) if self._n >= 0 else None
        if events is None:
            snapshot = await database_sync_to_async(feed.snapshot)()
            self._epoch, self._n = snapshot["epoch"], snapshot["n"]
            await self.send_json({"type": "snapshot", **snapshot})
            return
        for start in range(0, len(events), BATCH):
            batch = events[start : start + BATCH]
            await self.send_json({"type": "events", "epoch": self._epoch, "events": batch})
            self._n = batch[-1]["n"]

    async def _count(self) -> None:
        """Say that the rules' counters were read anew: no event, for only the latest is worth showing."""
        at = await database_sync_to_async(counters_at)()
        if at != self._counted:
            self._counted, first = at, not self._counted
            if not first:
                await self.send_json({"type": "counters", "at": at})

    async def _ping(self) -> None:
        """Say that all is well; and with which workers it is not: that one falls silent is no event."""
        await self.send_json({"type": "ping", **await database_sync_to_async(self._health)()})

    def _health(self) -> dict[str, Any]:
        return {"alive": self._worker_is_alive(), "silent": silent_hosts()}

    async def _may_see(self) -> bool:
        """Whether the session still belongs to somebody who may sign in. Every role may look."""
        return await database_sync_to_async(user_of)(self.scope) is not None

    def _worker_is_alive(self) -> bool:
        """That of the host which the page is about, or of each where it is about all; else of the one that the person chose last."""
        session = self.scope.get("session")
        looked_at = self._host or (session.get(HOST_LOOKED_AT) if session is not None else None)
        rows = Host.objects.order_by("id")
        if looked_at == EVERY_HOST:
            return all(map(is_alive, rows))
        host = rows.filter(name=looked_at).first() if looked_at else None
        host = host or rows.first()
        return host is not None and is_alive(host)
