"""Who runs is probed, whatever became of the probe before."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

import pytest

from networks.cnm.errors import Conflict
from networks.cnm.health import Health
from networks.models import Container
from worker.runtime.exec import ExecResult
from worker.sessions import probing

CHECK = {"healthcheck": {"test": ["CMD", "true"], "interval": 0.01}}
ROW = Container(id="ab" * 32, generation=1, has_health_check=True, spec=CHECK)


class Book:
    """The rows, as the probes see them."""

    def __init__(self, *more: Container) -> None:
        self.noted: asyncio.Queue[Health] = asyncio.Queue()
        self._rows = [*more, ROW]

    async def to_probe(self, host_name: str) -> list[Container]:
        return self._rows

    async def note_health(self, container_id: str, health: Health) -> bool:
        self.noted.put_nowait(health)
        return True


class Runtime:
    """Fails in one way, then runs what it is asked to."""

    def __init__(self, failure: Exception) -> None:
        self._failures = [failure]

    def exec(self, container_id: str, args: Any, *, timeout_s: float) -> ExecResult:
        if self._failures:
            raise self._failures.pop()
        return ExecResult(exit_code=0, stdout="", stderr="")


@pytest.mark.parametrize("failure", [Conflict("It does not run."), RuntimeError("can't start new thread")])
async def test_a_probe_that_could_not_be_made_is_not_the_last(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is put up again by a repair is in the same run as before."""
    book = Book()
    monkeypatch.setattr(probing, "book", book)
    monkeypatch.setattr(probing, "LOOK_S", 0.01)
    looking = asyncio.create_task(probing.probing(Runtime(failure), "local"))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(10):
            while (await book.noted.get()).status != "healthy":
                pass
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


MANY = 3 * probing.AT_ONCE


class Hanging:
    """All but one container's probes hang until they are let go."""

    def __init__(self) -> None:
        self.hanging: set[str] = set()
        self.all = threading.Event()
        self.let_go = threading.Event()

    def exec(self, container_id: str, args: Any, *, timeout_s: float) -> ExecResult:
        if container_id != ROW.pk:
            self.hanging.add(container_id)
            if len(self.hanging) == MANY:
                self.all.set()
            self.let_go.wait()
        return ExecResult(exit_code=0, stdout="", stderr="")


async def test_probes_that_hang_hold_nobody_else_up(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [Container(id=f"{n:064x}", generation=1, has_health_check=True, spec=CHECK) for n in range(MANY)]
    book, runtime = Book(*others), Hanging()
    monkeypatch.setattr(probing, "book", book)
    monkeypatch.setattr(probing, "LOOK_S", 0.01)
    looking = asyncio.create_task(probing.probing(runtime, "local"))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(30):
            await asyncio.to_thread(runtime.all.wait)
            while not book.noted.empty():
                book.noted.get_nowait()
            for _ in range(5):
                assert (await book.noted.get()).status == "healthy"
    finally:
        runtime.all.set()
        runtime.let_go.set()
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
