"""Who runs is probed, whatever became of the probe before."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from networks.cnm.errors import Conflict
from networks.cnm.health import Health
from networks.models import Container
from worker.runtime.exec import ExecResult
from worker.sessions import probing

ROW = Container(
    id="ab" * 32, generation=1, has_health_check=True, spec={"healthcheck": {"test": ["CMD", "true"], "interval": 0.01}}
)


class Book:
    """The rows, as the probes see them."""

    def __init__(self) -> None:
        self.noted: asyncio.Queue[Health] = asyncio.Queue()

    async def to_probe(self, host_name: str) -> list[Container]:
        return [ROW]

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
