"""What many connections wait for at once: the rows of one kind that any of them is concerned with are read by one query at each news."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

from networks.bells import Bells
from networks.hub import Hub
from networks.models import Container, Operation

from .threads import in_thread

log = logging.getLogger("networks.engine")

Row = TypeVar("Row", Container, Operation)

LOOK_S = 2.0
"""How long a hint that was lost delays what is waited for."""
_BREATH_S = 0.002
"""Between two looks at least; and as long as a look took, so that a burst of news costs half of the time at most."""
_RETRY_S = 1.0


class Watch(Bells, ABC, Generic[Row]):
    """Looks while anybody waits."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[str, set[_Waiting[Row]]] = {}
        self._bell: asyncio.Event | None = None

    @abstractmethod
    def read(self, ids: Collection[str]) -> Mapping[str, Row]:
        """The rows of *ids* that are there; called in a thread."""

    @abstractmethod
    def state(self, row: Row | None) -> Any:
        """What of a row is news when it changes."""

    async def each(self, row_id: str) -> AsyncIterator[Row | None]:
        """The row as it is, then each time that its state is another; None: it is not there (any more). Close it when done."""
        waiting: _Waiting[Row] = _Waiting()
        self._waiting.setdefault(row_id, set()).add(waiting)
        subscribed = self.subscribe()
        if self._bell is not None:
            self._bell.set()
        try:
            while True:
                yield await waiting.next()
        finally:
            self._waiting[row_id].discard(waiting)
            if not self._waiting[row_id]:
                del self._waiting[row_id]
            await self.unsubscribe(subscribed)

    async def work(self) -> None:
        hub = Hub.here()
        self._bell = bell = hub.subscribe()
        try:
            while True:
                bell.clear()
                began = asyncio.get_running_loop().time()
                try:
                    await self._look()
                except Exception:  # a database that is away: who waits goes on waiting
                    log.exception("rows that are waited for could not be read")
                    await asyncio.sleep(_RETRY_S)
                await asyncio.sleep(max(_BREATH_S, asyncio.get_running_loop().time() - began))
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await bell.wait()
        finally:
            self._bell = None
            await hub.unsubscribe(bell)

    async def _look(self) -> None:
        asked = {row_id: set(waiting) for row_id, waiting in self._waiting.items()}
        rows = await in_thread(self.read, list(asked))
        for row_id, waiting in asked.items():
            row = rows.get(row_id)
            state = self.state(row)
            for one in waiting:
                one.tell(row, state)


class Containers(Watch[Container]):
    def read(self, ids: Collection[str]) -> Mapping[str, Container]:
        return {row.pk: row for row in Container.objects.filter(pk__in=ids).defer("spec", "files")}

    def state(self, row: Container | None) -> Any:
        if row is None:
            return None
        run = (row.generation, row.restart_count, row.exited_run, row.failed_run)
        return row.status, row.wanted, row.exit_code, row.finished_at, run


class Operations(Watch[Operation]):
    def read(self, ids: Collection[str]) -> Mapping[str, Operation]:
        return {row.pk: row for row in Operation.objects.filter(pk__in=ids)}

    def state(self, row: Operation | None) -> Any:
        return None if row is None else (row.state, row.step)


class _Waiting(Generic[Row]):
    """One who waits for a row."""

    _UNKNOWN = object()

    def __init__(self) -> None:
        self._state: Any = self._UNKNOWN
        self._row: Row | None = None
        self._news = asyncio.Event()

    def tell(self, row: Row | None, state: Any) -> None:
        if state != self._state:
            self._state, self._row = state, row
            self._news.set()

    async def next(self) -> Row | None:
        await self._news.wait()
        self._news.clear()
        return self._row
