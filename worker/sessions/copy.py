"""Files of containers, copied out and in by small processes of their own (``worker.archive``) whose streams go to a face.

Both directions are as slow as the slower end: of an archive that is put, input is acknowledged once that process took it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from networks.cnm import frames
from networks.cnm.errors import CnmError, Exhausted, Unavailable, from_json
from networks.cnm.text import gettext_noop
from networks.load import process_value
from networks.models import Container
from worker.archive.task import LOOK, MEASURE, PUT, TAKE, Task
from worker.runtime.copies import noted
from worker.runtime.runtime import Runtime

from . import book
from .session import Client

log = logging.getLogger("worker.sessions")

MOST = 32
"""Copies at once on this host."""
STILL_S = 30.0
"""How long a copy whose client neither takes nor sends anything keeps its place from others."""
READ = 64 << 10
_COMMAND = (sys.executable, "-m", "worker.archive")
_COMPLAINTS = 16 << 10


class Copies:
    """All copies of this host."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.running: dict[asyncio.Task[None], Copy] = {}

    async def begin(self, asked: Mapping[str, Any], via: str, client: Client) -> Copy:
        """What the ticket *asked* leads to. Raises a CnmError."""
        while len(self.running) >= MOST:
            if await self._make_room():
                continue
            raise Exhausted(
                gettext_noop(
                    "{count} copies of files are under way on this host, which is as many as it makes at once."
                ),
                remedy=gettext_noop("Try again when one has ended."),
                count=MOST,
            )
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=READ,
            start_new_session=True,
        )
        copy = Copy(process, client, asked["task"]["verb"])
        running = asyncio.create_task(self._run(copy, process, asked, via))
        self.running[running] = copy
        running.add_done_callback(self.running.pop)
        return copy

    async def _make_room(self) -> bool:
        """End the copy that has waited longest for its client, if that is long enough; whether there was one."""
        task, copy = max(self.running.items(), key=lambda item: item[1].waits_s)
        if copy.waits_s < STILL_S:
            return False
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return True

    async def _run(self, copy: Copy, process: asyncio.subprocess.Process, asked: Mapping[str, Any], via: str) -> None:
        container_id = str(asked["container"])
        try:
            if asked["task"]["verb"] == MEASURE:
                await copy.run(self._bare(container_id, MEASURE))
                return
            # Noted before the row is read: whoever starts or removes the container from now on ends the process.
            with noted(self._runtime.folders, container_id, process.pid):
                row, files_of = await book.checked_files(container_id, via)
                await copy.run(self._task(row, files_of, asked["task"]))
        except CnmError as error:
            copy.client.part({"state": "refused", "error": error.to_json()})
        except asyncio.CancelledError:
            copy.client.part({"state": "refused", "error": _given_away().to_json()})
            raise
        except Exception:
            log.exception("a copy of files of container %s broke", container_id[:12])
            copy.client.part({"state": "broken"})
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            if process.stdout is not None:
                await _end_of(process.stdout)  # what nobody took would keep the pipe open
            await process.wait()

    def _task(self, row: Container, files_of: str, wishes: Mapping[str, Any]) -> Task:
        spec = process_value(row)
        return replace(
            self._bare(row.pk, wishes["verb"]),
            **wishes,
            name=row.name,
            image=spec.image,
            user=spec.user,
            files_of=files_of,
            binds=spec.binds,
            bind_roots=("/",) if spec.binds_anywhere else self._runtime.bind_roots,
            most_bytes=settings.UPLOAD_MAX_BYTES,
        )

    def _bare(self, container_id: str, verb: str) -> Task:
        folders = self._runtime.folders
        return Task(
            verb=verb,
            container_id=container_id,
            state_dir=str(folders.state_dir),
            run_dir=str(folders.run_dir),
            group=folders.group,
        )


class Copy:
    """One face's connection to the process of one copy."""

    def __init__(self, process: asyncio.subprocess.Process, client: Client, verb: str) -> None:
        self.client = client
        client.stall_s = None  # who reads slowly gets it slowly
        self._process = process
        self._verb = verb
        self._waiting = 0
        self._waits_since: float | None = None
        self._typed: asyncio.Queue[bytes | None] = asyncio.Queue()

    @property
    def waits_s(self) -> float:
        """How long it has been waiting for its client."""
        return time.monotonic() - self._waits_since if self._waits_since is not None else 0.0

    @contextlib.contextmanager
    def _waits(self) -> Iterator[None]:
        self._waits_since = time.monotonic()
        yield
        self._waits_since = None

    @property
    def has_room(self) -> bool:
        return self._waiting <= frames.INPUT_WINDOW

    def type(self, client: Client, data: bytes | None) -> None:
        """Pass on a piece of the archive; None: it is over."""
        self._waiting += len(data or b"")
        self._typed.put_nowait(data)

    def resize(self, columns: int, rows: int) -> None:
        """It has no window."""

    def detach(self, client: Client) -> None:
        """The face has gone: nobody hears how it ends, so it ends now."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def run(self, task: Task) -> None:
        """Carry it out and tell the face. Raises a CnmError where it was refused."""
        process, client = self._process, self.client
        assert process.stdin is not None  # noqa: S101  # all three are pipes
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        complaints = asyncio.create_task(_end_of(process.stderr))
        with contextlib.suppress(OSError):
            process.stdin.write(task.line())
            await process.stdin.drain()
        typing = asyncio.create_task(self._type(process.stdin))
        try:
            if self._verb in {LOOK, TAKE} and (line := await process.stdout.readline()):
                client.writer.write(frames.told(frames.STATE, {"state": "found", "thing": json.loads(line)}))
            while data := await process.stdout.read(READ):
                with self._waits():
                    taken = await client.send(frames.frame(frames.STDOUT, data))
                if not taken:
                    return
            code = await process.wait()
        finally:
            typing.cancel()
        if code:
            raise _refusal(code, await complaints)
        client.part({"state": "ended"})

    async def _type(self, pipe: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # it ended before all was said, and tells why
            while (data := await self._next()) is not None:
                pipe.write(data)
                await pipe.drain()
                self._waiting -= len(data)
                if not self.client.writer.is_closing():
                    self.client.writer.write(frames.taken(len(data)))
            pipe.close()

    async def _next(self) -> bytes | None:
        if self._verb != PUT:
            return await self._typed.get()
        with self._waits():
            return await self._typed.get()


def _given_away() -> CnmError:
    return Unavailable(
        gettext_noop(
            "The copy was ended: its client stood still for {seconds} seconds, and others waited for its place."
        ),
        remedy=gettext_noop("Copy again, to where what comes is taken."),
        seconds=int(STILL_S),
    )


async def _end_of(stream: asyncio.StreamReader) -> bytes:
    """The last bytes of what a stream gives."""
    said = b""
    while data := await stream.read(READ):
        said = (said + data)[-_COMPLAINTS:]
    return said


def _refusal(code: int, said: bytes) -> CnmError:
    with contextlib.suppress(ValueError, KeyError, IndexError, TypeError):
        return from_json(json.loads(said.splitlines()[-1]))
    log.warning("a copy of files ended with %s: %s", code, said.decode(errors="replace"))
    return Unavailable(
        gettext_noop(
            "The copy was cut off: the container was started or removed meanwhile, or the copying process ended."
        ),
        remedy=gettext_noop("Copy again. If it fails again, see the log of the sessions process."),
    )
