"""``logs`` and ``wait``: answers that begin at once and go on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from networks import logs
from networks.load import is_live
from networks.models import Activity, Container, Event

from .attach import delivered
from .call import Call
from .errors import EngineError
from .filters import instant
from .http import JSON, RAW_STREAM
from .output import Choice
from .threads import in_thread
from .watching import Containers

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
PAUSE_S = 0.1
"""Between two looks at a log that did not grow: a few system calls."""
_PIECE = 256 << 10
_LOST = (
    "some of what the container printed here is lost: it printed faster than its log could be followed (10 MiB at once)"
)
_BEGUN_ANEW = "what the container printed before is lost: its log was begun anew (it keeps 10 MiB)"
_HIDDEN_S = 10.0
"""How long the last of a log's files is waited for, that cannot be read yet."""
_CONDITIONS = ("", "not-running", "next-exit", "removed")


async def container_logs(call: Call, name: str) -> None:
    """The log as it is, or as it grows."""
    row = await in_thread(call.container, name)
    choice = _choice(call, row)
    path = logs.log_path(Path(settings.STATE_DIR), row.pk)
    count = _tail(call.query.get("tail", "all"))
    plain = choice.tty or call.version < (1, 42)
    await call.exchange.start(200, {"Content-Type": RAW_STREAM if plain else MULTIPLEXED})
    if not call.flag("follow"):
        await _send(call, await in_thread(lambda: _rendered(choice, *logs.kept(path, count))))
        return
    follower = await in_thread(lambda: logs.LogFollower(path, tail=count))
    over = asyncio.ensure_future(_run_over(row.pk))
    deadline = time.monotonic() + _HIDDEN_S
    try:
        lines = follower.first
        await _send(call, await in_thread(_rendered, choice, lines, follower.late))
        while not choice.past(lines):
            last = over.done()  # before the last lines are read, so that none is missed
            lines = await in_thread(follower.read) if follower.grown else []
            await _send(call, await in_thread(choice.rendered, lines) if lines else b"")
            if follower.missed:
                follower.missed = False
                await call.exchange.send(choice.said(_LOST, timezone.now()))
            if follower.behind:
                continue
            if last and (not follower.hidden or time.monotonic() >= deadline):
                return
            if last:
                await asyncio.sleep(PAUSE_S)
            else:
                await asyncio.wait({over}, timeout=PAUSE_S)
                deadline = time.monotonic() + _HIDDEN_S
    finally:
        over.cancel()
        await asyncio.gather(over, return_exceptions=True)
        follower.close()


def _rendered(choice: Choice, lines: list[logs.LogLine], lacking: bool) -> bytes:
    """*lacking*: lines before these are lost, which is said in their place unless later ones alone are asked for."""
    said = choice.said_before(_BEGUN_ANEW, lines) if lacking else b""
    return said + choice.rendered(lines)


async def _send(call: Call, data: bytes) -> None:
    """Piece by piece, as the client takes it."""
    for start in range(0, len(data), _PIECE):
        await call.exchange.send(data[start : start + _PIECE])


async def _run_over(container_id: str) -> None:
    """Return when a container does not run, and will not by itself."""
    async with contextlib.aclosing(Containers.here().each(container_id)) as rows:  # type: ignore[type-var]
        async for row in rows:
            if row is None or not (is_live(row) or row.status == "stopping"):
                return


def _choice(call: Call, row: Container) -> Choice:
    streams = frozenset(name for name in ("stdout", "stderr") if call.flag(name))
    if not streams:
        raise EngineError(400, "Bad parameters: you must choose at least one stream")
    now = timezone.now()
    bounds = {name: call.query.get(name, "") for name in ("since", "until")}
    return Choice(
        streams=streams,
        tty=bool(row.spec.get("tty")),
        timestamps=call.flag("timestamps"),
        **{name: instant(text, now) if text not in {"", "0"} else None for name, text in bounds.items()},
    )


def _tail(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


async def wait(call: Call, name: str) -> None:
    """The head at once, for ``docker run`` waits for it before it starts the container; the body at the end."""
    condition = call.query.get("condition", "")
    if condition not in _CONDITIONS:
        raise EngineError(400, f'invalid condition: "{condition}"')
    row = await in_thread(call.container, name)
    await call.exchange.start(200, {"Content-Type": JSON})
    code = await _ended(row, condition or "not-running")
    await delivered(row.pk, begun=condition in {"", "not-running"})
    await call.exchange.send(json.dumps({"StatusCode": code, "Error": None}).encode() + b"\n")


async def _ended(before: Container, condition: str) -> int:
    """The exit code once *condition* is true. *before*: the container as it was when the question came."""
    async with contextlib.aclosing(Containers.here().each(before.pk)) as rows:  # type: ignore[type-var]
        async for row in rows:
            if row is None:
                break
            if condition == "not-running":
                over = row.status in {"created", "exited", "failed"}
            else:
                ended = row.finished_at not in (None, before.finished_at)
                over = condition == "next-exit" and ended and row.status in {"exited", "restarting", "failed"}
            if over:
                return row.exit_code or 0
    return await in_thread(last_code, before.pk)


def last_code(container_id: str) -> int:
    """How a container ended that is gone: what the events and the activity log remember."""
    for data in (
        Event.objects.filter(kind="container", object_id=container_id, op="put")
        .order_by("-number")
        .values_list("data", flat=True)[:20]
    ):
        if data and data.get("exit_code") is not None:
            return int(data["exit_code"])
    ended = Activity.objects.filter(verb="container.exited", subject_id=container_id).first()
    return int((ended.request.get("exit_code") if ended else 0) or 0)
