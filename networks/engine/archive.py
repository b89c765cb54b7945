"""``/containers/{id}/archive``: files as tar archives (``docker cp``), by way of the process that copies them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from networks.cnm import frames
from networks.cnm.errors import from_json
from networks.services.files import look_at_file, put_files, take_files

from .call import Call, dockers_words
from .errors import EngineError, translated
from .http import Gone
from .raw import Held
from .threads import in_thread

TAR = "application/x-tar"
STAT = "X-Docker-Container-Path-Stat"
_BROKEN_OFF = "the process that copies files ended before it was through: what was copied is not whole"


async def look(call: Call, name: str) -> None:
    """What is at a path, in a header."""
    async with _opened(call, name, look_at_file) as held:
        answers = _answers(held, name)
        head = await _head(answers)
        async for _ in answers:
            pass
    await call.exchange.answer(200, headers=head)


async def take(call: Call, name: str) -> None:
    """An archive of what is at a path."""
    async with _opened(call, name, take_files) as held:
        answers = _answers(held, name)
        await call.exchange.start(200, await _head(answers))
        async for data in answers:
            assert isinstance(data, bytes)  # noqa: S101  # after the head there is nothing else
            await call.exchange.send(data)


async def put(call: Call, name: str) -> None:
    """The archive in the body, put into a folder."""
    wishes = {"keep_kinds": call.flag("noOverwriteDirNonDir"), "as_user": call.flag("copyUIDGID")}
    async with _opened(call, name, put_files, **wishes) as held:
        hearing = asyncio.ensure_future(_heard_out(_answers(held, name)))
        sending = asyncio.ensure_future(_pass_on(call, held))
        try:
            await asyncio.wait({hearing, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            await hearing
        finally:
            for task in (hearing, sending):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
    await call.exchange.answer(200)


@contextlib.asynccontextmanager
async def _opened(call: Call, name: str, use_case: Callable[..., str], **wishes: bool) -> AsyncIterator[Held]:
    path = call.query.get("path", "")
    if not path:
        raise EngineError(400, "bad parameter: path cannot be empty")
    if "\0" in path:
        raise EngineError(400, "bad parameter: path cannot hold a NUL byte")

    def ticket() -> str:
        with dockers_words():
            return use_case(call.actor, call.container(name), path, **wishes)

    held = await Held.open(await in_thread(ticket))
    try:
        yield held
    finally:
        await held.close()


async def _answers(held: Held, name: str) -> AsyncIterator[bytes | dict[str, Any]]:
    """What is known of the thing, then pieces of its archive. Raises EngineError where it was refused, or broke off."""
    async for item in held.heard():
        if item.kind == frames.STDOUT:
            yield item.data
            continue
        said = item.json() if item.kind == frames.STATE else {}
        if said.get("state") == "found":
            yield dict(said["thing"])
        elif said.get("state") == "refused":
            raise translated(from_json(said["error"]), {"reference": name})
        elif said.get("state") == "ended":
            return
    raise EngineError(500, _BROKEN_OFF)


async def _head(answers: AsyncIterator[bytes | dict[str, Any]]) -> dict[str, str]:
    thing = await anext(answers)
    return {"Content-Type": TAR, STAT: base64.b64encode(json.dumps(thing).encode()).decode()}


async def _heard_out(answers: AsyncIterator[bytes | dict[str, Any]]) -> None:
    async for _ in answers:
        pass


async def _pass_on(call: Call, held: Held) -> None:
    try:
        async for piece in call.exchange.pieces():
            await held.type(piece)
        await held.end_of_input()
    except Gone:
        raise
    except OSError:
        pass  # it takes no more, and says why
