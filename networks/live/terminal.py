"""The WebSocket of a terminal: it carries bytes between a browser and the process that holds the session, and asks who may.

Binary messages are what is typed and what is printed. Texts are JSON: ``resize``, ``ack`` and ``ping`` from the browser;
``attached``, ``ended``, ``taken``, ``refused`` (states of the session), ``ack`` and ``pong`` to it. Both directions have a window of
bytes that are under way, so that a slow side slows the other down instead of filling memory between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from networks import exec_client
from networks.cnm import frames
from networks.cnm.errors import CnmError
from networks.cnm.errors import from_json as error_from_json
from networks.cnm.frames import BadFrame, Frame
from networks.models import User
from networks.services import terminals
from networks.services.actor import Actor

from .consumer import SIGNED_OUT
from .session import user_of

REFUSED, GONE, AWAY = 4403, 4404, 4503
"""Close codes: not for this user, or ended; no such terminal; who holds it does not answer."""
OUTPUT_WINDOW = 512 << 10
"""Bytes of output that a browser may have before it says that it has shown some."""
LOOK_S = 10.0
"""How often it is asked whether the person may still type."""


class TerminalConsumer(AsyncWebsocketConsumer):
    """One connection to one session."""

    channel_layer_alias = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tasks: list[asyncio.Task[None]] = []
        self._writer: asyncio.StreamWriter | None = None
        self._shown = asyncio.Event()
        self._under_way = 0

    async def connect(self) -> None:
        await self.accept()
        asked = parse_qs(self.scope.get("query_string", b"").decode(errors="replace"))
        try:
            found = await database_sync_to_async(self._ticket)()
            if found is None:
                await self.close(SIGNED_OUT)
                return
            ticket, host = found
            wishes = {name: _number(asked, name) for name in ("since", "columns", "rows")}
            reader, self._writer = await exec_client.connect(ticket, host, **wishes)
        except CnmError as error:
            await self._refuse(error)
            return
        self._tasks = [asyncio.create_task(self._outward(reader)), asyncio.create_task(self._watch())]

    async def disconnect(self, code: int) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._writer is not None:
            await exec_client.close(self._writer)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._writer is None or self._writer.is_closing():
            return
        try:
            if bytes_data is not None:
                for piece in frames.pieces(bytes_data):
                    self._writer.write(frames.frame(frames.STDIN, piece))
                await self._writer.drain()
            else:
                await self._obey(json.loads(text_data or ""))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            await self.close(1003)

    async def _obey(self, said: dict[str, Any]) -> None:
        assert self._writer is not None  # noqa: S101  # receive() has looked
        if said["type"] == "resize":
            size = {"columns": int(said["columns"]), "rows": int(said["rows"])}
            self._writer.write(frames.told(frames.RESIZE, size))
        elif said["type"] == "ack":
            self._under_way = max(0, self._under_way - int(said["bytes"]))
            self._shown.set()
        elif said["type"] == "ping":
            await self._tell({"type": "pong"})

    async def _outward(self, reader: asyncio.StreamReader) -> None:
        """Pass on what is printed, while the browser keeps up."""
        whole = frames.Frames()
        try:
            while data := await reader.read(exec_client.READ):
                for item in whole.feed(data):
                    await self._pass_on(item)
        except (OSError, BadFrame):
            pass
        await self.close(AWAY)

    async def _pass_on(self, item: Frame) -> None:
        if item.kind in {frames.STDOUT, frames.STDERR}:
            while self._under_way > OUTPUT_WINDOW:
                self._shown.clear()
                await self._shown.wait()
            self._under_way += len(item.data)
            await self.send(bytes_data=item.data)
        elif item.kind == frames.TAKEN:
            await self._tell({"type": "ack", "bytes": item.count()})
        elif item.kind == frames.STATE:
            state = item.json()
            if state["state"] == "refused":
                await self._refuse(error_from_json(state["error"]))
                return
            await self._tell({"type": state.pop("state"), **state})

    async def _refuse(self, error: CnmError) -> None:
        said = {"sentence": error.sentence.to_json(), "remedy": error.remedy.to_json(), "code": error.code}
        await self._tell({"type": "refused", **said, "words": f"{error.sentence} {error.remedy}".strip()})
        closes: dict[str, int] = {"not_found": GONE, "unavailable": AWAY}
        await self.close(closes.get(error.code, REFUSED))

    async def _tell(self, value: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(value))

    async def _watch(self) -> None:
        """End the connection when the person signs out, or may type no more."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not await database_sync_to_async(self._may_type)():
                await self.close(SIGNED_OUT)
                return

    def _ticket(self) -> tuple[str, str] | None:
        """What lets the person in, and at which host."""
        user = user_of(self.scope)
        if user is None:
            return None
        reference = str(self.scope["url_route"]["kwargs"]["session"])
        actor = Actor(name=user.get_username(), role=user.role, via="page")
        session = terminals.find_terminal(None, reference)
        self._allowed = _allows(actor, session)
        return terminals.ticket(actor, session), session.container.host.name

    def _may_type(self) -> bool:
        user = user_of(self.scope)
        return user is not None and self._allowed(user)


def _allows(actor: Actor, session: Any) -> Callable[[User], bool]:
    return lambda user: user.get_username() == actor.name and terminals.may_use(session, actor.name, user.role)


def _number(asked: dict[str, list[str]], name: str) -> int:
    text = asked.get(name, [""])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 15 else 0
