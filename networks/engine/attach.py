"""``/containers/{id}/attach``: the streams of a container's own process, from before its start if need be.

The process that holds terminals is connected to them for us; a start waits until it is, so nothing is lost between the two.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from django.conf import settings

from networks import logs
from networks.cnm import frames
from networks.cnm.errors import from_json
from networks.cnm.frames import Frame
from networks.load import is_live
from networks.models import Activity, Container
from networks.services.terminals import console_ticket
from networks.services.terminals import join as join_ticket

from .call import Call
from .errors import EngineError, translated
from .http import Raw
from .output import Choice, failed, framed
from .raw import DetachKeys, Held, pass_input
from .threads import in_thread
from .watching import Containers

LAST_WORDS_S = 60.0
"""How long the end of a run is kept from those who wait for it, for the sake of a client that takes its output slowly."""
_JOIN_S = 2.0
"""How long the word that a run was connected to may be under way when its end is known already."""
_BROKEN_OFF = "the connection to the container's streams broke off: what was printed is not whole"
_LATE = "the beginning of what the container printed is lost: its streams were not connected in time"
_UNHEARD = "what the container printed is lost here: it ended before its streams were connected (docker logs has it)"
_UP = ("starting", "running", "stopping", "restarting")
_NAMES = {frames.STDOUT: "stdout", frames.STDERR: "stderr"}


async def attach(call: Call, name: str) -> None:
    await call.exchange.body()
    row = await in_thread(call.container, name)
    streams = frozenset(stream for stream in ("stdout", "stderr") if call.flag(stream))
    tty = bool(row.spec.get("tty"))
    keys = DetachKeys(call.query.get("detachKeys", "")) if tty else None
    if not call.flag("stream"):
        raw = await call.exchange.hijack()
        await _send_log(call, raw, row, streams, tty)
        return
    held = await Held.open(await in_thread(join_ticket, call.actor, row))
    run = _Run(row)
    _runs.add(run)
    try:
        said = held.heard()
        await _attached(said)  # only now, for the client starts the container once it is answered
        raw = await call.exchange.hijack()
        await _send_log(call, raw, row, streams, tty)
        await _streamed(call, raw, held, said, run, streams, keys, tty)
    finally:
        _runs.discard(run)
        run.told.set()
        await held.close()


async def delivered(container_id: str, *, begun: bool) -> None:
    """Return when those who are attached were sent all that a run printed: clients leave once they hear of its end.

    *begun*: who waits for a start is not counted. Who takes nothing is waited for :data:`LAST_WORDS_S` at most.
    """
    waits = [run.told.wait() for run in _runs if run.id == container_id and (run.begun or not begun)]
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*waits), LAST_WORDS_S)


async def resize(call: Call, name: str) -> None:
    columns, rows = call.integer("w", 0) or 0, call.integer("h", 0) or 0
    row = await in_thread(call.container, name)
    if row.status not in _UP:
        raise EngineError(409, f"Container {row.pk} is not running")
    held = await Held.open(await in_thread(console_ticket, call.actor, row))
    try:
        await held.resize(columns, rows)
        await call.exchange.answer(200)
    finally:
        await held.close()


class _Run:
    """The run of a container that somebody is attached to: the one that it has, else its next."""

    def __init__(self, row: Container) -> None:
        self.id = row.pk
        self._before = row.generation if row.status not in _UP else row.generation - 1
        self.begun = False
        self.told = asyncio.Event()
        """Set once its client was sent all that it gets."""
        self.reads = bool(row.spec.get("open_stdin"))
        self.joined: set[str] = set()
        """The runs (``generation.restart_count``) that its streams were connected to."""
        self.connected = asyncio.Event()
        self.left = asyncio.Event()
        """Set while its streams are not connected: nothing more comes of this run."""
        self.left.set()

    def over(self, row: Container | None) -> bool:
        """Whether it began and ended, by its row as it is now."""
        if row is None:
            return True
        self.begun = self.begun or row.generation > self._before
        return self.begun and not is_live(row) and row.status not in _UP

    def join(self, name: str) -> None:
        """What is printed in the run *name* comes from now on."""
        self.joined.add(name)
        self.left.clear()
        self.connected.set()

    async def unheard(self, row: Container | None) -> bool:
        """Whether it came and went without being connected to, for its start did not wait. *row*: as it is at its end."""
        if row is not None:
            missing = {row.exited_run} - {""} - self.joined
        else:
            missing = {"its only one"} if not self.joined and await in_thread(_ran, self.id) else set()
        if not missing:
            return False
        self.connected.clear()
        try:
            async with asyncio.timeout(_JOIN_S):
                await self.connected.wait()
        except TimeoutError:
            return True
        return False


def _ran(container_id: str) -> bool:
    """Whether a container that is gone was ever seen to end: one whose start failed is not waited for."""
    return Activity.objects.filter(verb="container.exited", subject_id=container_id).exists()


_runs: set[_Run] = set()
"""Those that somebody is attached to now."""


async def _attached(said: AsyncIterator[Frame]) -> None:
    """Return when the other side waits for the container's streams, or has them. Raises EngineError where it does neither."""
    async for item in said:
        state = item.json() if item.kind == frames.STATE else {}
        if state.get("state") == "attached":
            return
        if state.get("state") == "refused":
            raise translated(from_json(state["error"]))
    raise EngineError(500, _BROKEN_OFF)


async def _send_log(call: Call, raw: Raw, row: Container, streams: frozenset[str], tty: bool) -> None:
    if call.flag("logs"):
        path = logs.log_path(Path(settings.STATE_DIR), row.pk)
        await raw.send(Choice(streams=streams, tty=tty).rendered(await in_thread(logs.tail, path)))


async def _streamed(
    call: Call,
    raw: Raw,
    held: Held,
    said: AsyncIterator[Frame],
    run: _Run,
    streams: frozenset[str],
    keys: DetachKeys | None,
    tty: bool,
) -> None:
    """Pass everything to and fro until the run is over and all of it was sent, or the client leaves."""
    printing = asyncio.ensure_future(_print(raw, said, run, streams, tty))
    waiting: set[asyncio.Future[bool]] = {
        printing,
        asyncio.ensure_future(_watched(raw, run, tty)),
        asyncio.ensure_future(_gone(raw)),
    }
    if call.flag("stdin") and run.reads:
        waiting.add(asyncio.ensure_future(pass_input(raw, held, keys)))
    tasks = set(waiting)
    try:
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(task.result() for task in done):
                return
    except OSError:
        return  # the client has gone, or what holds the streams, which it was told
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _print(raw: Raw, said: AsyncIterator[Frame], run: _Run, streams: frozenset[str], tty: bool) -> bool:
    """Pass on what is printed; true once there is no more to come for certain, which the client was told."""
    async for item in said:
        if item.kind in _NAMES:
            if _NAMES[item.kind] in streams:
                await raw.send(framed(_NAMES[item.kind], item.data, tty))
            continue
        state = item.json() if item.kind == frames.STATE else {}
        if state.get("state") == "joined":
            run.join(state["run"])
            if not state["whole"]:  # what is not whole must not look so
                await raw.send(failed(_LATE, tty))
                return True
        elif state.get("state") == "left":
            if not state["whole"]:
                break
            run.left.set()
    await raw.send(failed(_BROKEN_OFF, tty))
    return True


async def _watched(raw: Raw, run: _Run, tty: bool) -> bool:
    """True when the run is over and all that it printed was sent, or the client was told that it was not."""
    row = None
    async with contextlib.aclosing(Containers.here().each(run.id)) as rows:  # type: ignore[type-var]
        async for row in rows:
            if run.over(row):
                break
    if await run.unheard(row):
        await raw.send(failed(_UNHEARD, tty))
        return True
    await run.left.wait()
    return True


async def _gone(raw: Raw) -> bool:
    """True when the client has closed its end altogether."""
    while True:
        if raw.gone:
            return True
        await asyncio.sleep(1)
