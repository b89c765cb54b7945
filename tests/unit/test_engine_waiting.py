"""Who waits holds no thread, and many who wait cost one question."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from networks.bells import Bells
from networks.engine import call, watching
from networks.engine.threads import THREADS, in_thread


@dataclass
class Row:
    state: str


class Silent(Bells):
    """No news comes here."""

    async def work(self) -> None:
        await asyncio.Event().wait()


class Rows(watching.Watch[Any]):
    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Row] = {"a": Row("runs")}
        self.asked: list[list[str]] = []

    def read(self, ids: Collection[str]) -> Mapping[str, Row]:
        self.asked.append(sorted(ids))
        return {name: Row(row.state) for name, row in self.rows.items() if name in ids}

    def state(self, row: Row | None) -> Any:
        return row and row.state


async def test_many_who_wait_for_rows_cost_one_question_at_each_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "Hub", Silent)
    rows = Rows()
    heard: list[list[str]] = []
    all_heard = asyncio.Event()

    async def wait(name: str) -> None:
        seen: list[str] = []
        async with contextlib.aclosing(rows.each(name)) as each:  # type: ignore[type-var]
            async for row in each:
                seen.append(row.state if row is not None else "gone")
                if len(seen) == 1:
                    heard.append(seen)
                    if len(heard) == 201:
                        all_heard.set()
                if seen[-1] in {"over", "gone"}:
                    return

    waiting = [asyncio.create_task(wait(name)) for name in ["a"] * 200 + ["b"]]
    async with asyncio.timeout(10):
        await all_heard.wait()
        questions = len(rows.asked)
        rows.rows["a"].state = "over"
        Silent.here().ring()
        await asyncio.gather(*waiting)
    assert len(rows.asked) <= questions + 2
    assert heard.count(["runs", "over"]) == 200
    assert heard.count(["gone"]) == 1


async def test_a_handler_that_waits_holds_no_thread() -> None:
    over = asyncio.Event()

    class Never:
        async def wait(self) -> str:
            await over.wait()
            return "ended"

    def handler() -> Any:
        return (yield Never())

    waiting = [asyncio.create_task(call.stepped(handler())) for _ in range(2 * THREADS)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        assert await in_thread(lambda: "answered") == "answered"
    over.set()
    assert set(await asyncio.gather(*waiting)) == {"ended"}
