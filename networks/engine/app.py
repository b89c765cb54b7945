"""From a request to its handler: the version in its path, who asks, and errors in Docker's form."""

from __future__ import annotations

import inspect
import logging
import re
import uuid
from collections.abc import Callable
from typing import Any

from networks.cnm.errors import CnmError
from networks.services.actor import Actor

from .call import Answer, Call, stepped
from .errors import EngineError, translated
from .http import COMMON, Exchange, Gone, TooLarge
from .peer import Peer
from .routes import find
from .threads import in_thread
from .versions import LEAST, MOST, NOW, spelled

log = logging.getLogger("networks.engine")

_VERSION = re.compile(r"/v(\d{1,4})\.(\d{1,4})(/.*)\Z")
COMMON["Api-Version"] = spelled(NOW)


async def handle(exchange: Exchange, peer: Peer | None) -> None:
    """Answer one request, whatever happens."""
    try:
        await _answer(exchange, peer)
    except Gone:
        raise
    except EngineError as error:
        await _refuse(exchange, error)
    except CnmError as error:
        await _refuse(exchange, translated(error))
    except TooLarge:
        await _refuse(exchange, EngineError(413, "the request body is too large"))
    except Exception:
        log.exception("a request failed: %s %s", exchange.request.method, exchange.request.path)
        await _refuse(
            exchange, EngineError(500, "CNM Web failed to answer; the reason is in the log of its engine process")
        )


async def _answer(exchange: Exchange, peer: Peer | None) -> None:
    request = exchange.request
    if peer is None:
        raise EngineError(403, "authorization denied: only root and members of the socket's group are answered here")
    version, path = _split(request.path)
    handler, values = find(request.method, path)
    actor = Actor(name=peer.name, role=peer.role, via="docker", request_id=uuid.uuid4().hex)
    call = Call(exchange, actor, version)
    if inspect.iscoroutinefunction(handler):
        await handler(call, **values)
        return
    call.content = await exchange.body()
    if inspect.isgeneratorfunction(handler):
        answer = await stepped(handler(call, **values))
    else:
        answer = await in_thread(handler, call, **values)
    await respond(exchange, answer)


async def respond(exchange: Exchange, answer: Answer) -> None:
    if answer.value is None and answer.status in {200, 201, 204, 304}:
        await exchange.answer(answer.status)
    else:
        await exchange.answer_json(answer.status, answer.value)


async def _refuse(exchange: Exchange, error: EngineError) -> None:
    if exchange.raw is not None:
        await exchange.raw.send(f"{error.message}\r\n".encode())
    elif not exchange.started:
        await exchange.answer_json(error.status, {"message": error.message})
    else:
        raise Gone  # a stream that broke: cut off, so that the client does not take it for whole


def _split(path: str) -> tuple[tuple[int, int], str]:
    found = _VERSION.match(path)
    if found is None:
        return NOW, path
    version = (int(found[1]), int(found[2]))
    if version > MOST:
        raise EngineError(
            400, f"client version {spelled(version)} is too new. Maximum supported API version is {spelled(MOST)}"
        )
    if version < LEAST:
        raise EngineError(
            400,
            f"client version {spelled(version)} is too old. Minimum supported API version is {spelled(LEAST)}, "
            "please upgrade your client to a newer version",
        )
    return version, found[3]


Handler = Callable[..., Any]
