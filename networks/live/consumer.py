"""The WebSocket of open pages: where a page stands comes in its address, what it missed is sent, then what happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user

from networks import feed
from networks.audit import counters_at

from .hub import hub

SIGNED_OUT = 4401
PING_S = 10.0
LOOK_S = 2.0
"""How often a page's events are looked for though nobody told of any: the layer may be down."""
BATCH = 500
"""Events in one message at most."""


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """``snapshot`` where the page knows nothing or too old things, else ``events``; ``ping`` every ten seconds, and
    ``counters`` when those of the rules were read anew."""

    channel_layer_alias = ""  # a hub listens for all of this process; no channel of its own

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._task: asyncio.Task[None] | None = None
        self._epoch = ""
        self._n = -1
        self._counted = ""

    async def connect(self) -> None:
        await self.accept()
        if not await self._may_see():
            await self.close(SIGNED_OUT)
            return
        wanted = parse_qs(self.scope.get("query_string", b"").decode(errors="replace"))
        self._epoch = wanted.get("epoch", [""])[0]
        since = wanted.get("since", [""])[0]
        self._n = int(since) if since.isascii() and since.isdigit() and len(since) < 18 else -1
        self._task = asyncio.create_task(self._guard(self._run()))

    async def disconnect(self, code: int) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **_ignored: Any) -> None:
        """Pages only listen."""

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception:
            await self.close(1011)
            raise

    async def _run(self) -> None:
        bell = hub().subscribe()
        try:
            pinged = time.monotonic()
            await self._catch_up()
            await self.send_json({"type": "ping"})
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), LOOK_S)
                bell.clear()
                await self._catch_up()
                await self._count()
                if time.monotonic() - pinged >= PING_S:
                    pinged = time.monotonic()
                    if not await self._may_see():
                        await self.close(SIGNED_OUT)
                        return
                    await self.send_json({"type": "ping"})
        finally:
            await hub().unsubscribe(bell)

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

    async def _may_see(self) -> bool:
        """Whether the session still belongs to somebody who may sign in. Every role may look."""
        return await database_sync_to_async(self._session_is_good)()

    def _session_is_good(self) -> bool:
        session = self.scope.get("session")
        if session is None or not session.session_key:
            return False
        store = import_module(settings.SESSION_ENGINE).SessionStore
        user = get_user(_Request(store(session.session_key)))  # type: ignore[arg-type]  # it reads the session alone
        return bool(user.is_authenticated and user.is_active)


class _Request:
    """What ``django.contrib.auth.get_user`` looks at: a session, read anew."""

    def __init__(self, session: Any) -> None:
        self.session = session
