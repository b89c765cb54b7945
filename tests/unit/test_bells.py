"""Work for open pages ends with the last of them, at whatever moment that one leaves."""

from __future__ import annotations

import asyncio

import pytest

from networks.bells import Bells
from networks.ending import CANCEL_AGAIN_S
from networks.hub import Hub


class _Deaf(Bells):
    """Swallows a cancellation that comes as what it waits for is done, as Python 3.11's ``wait_for`` does."""

    def __init__(self) -> None:
        super().__init__()
        self.news: asyncio.Queue[int] = asyncio.Queue()

    async def work(self) -> None:
        while True:
            await asyncio.wait_for(self.news.get(), 3600)  # its defect is the point
            self.ring()


class _Layer:
    """As much of a channel layer as the hub hears."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[int] = asyncio.Queue()

    async def new_channel(self) -> str:
        return "channel"

    async def group_add(self, group: str, channel: str) -> None:
        pass

    async def receive(self, channel: str) -> int:
        return await self.news.get()


async def _left(bells: Bells, bell: asyncio.Event, within_s: float) -> bool:
    leaving = asyncio.create_task(bells.unsubscribe(bell))
    return bool((await asyncio.wait({leaving}, timeout=within_s))[0])


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_last_one_leaves_just_as_news_comes(turns: int) -> None:
    async def leave() -> None:
        deaf = _Deaf()
        bell = deaf.subscribe()
        await asyncio.sleep(0.01)
        deaf.news.put_nowait(1)
        for _ in range(turns):
            await asyncio.sleep(0)
        assert await _left(deaf, bell, within_s=5)

    asyncio.run(leave())


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_hub_takes_notice_at_once(turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave() -> None:
        layer = _Layer()
        monkeypatch.setattr("networks.hub.get_channel_layer", lambda: layer)
        hub = Hub()
        bell = hub.subscribe()
        await asyncio.sleep(0.01)
        layer.news.put_nowait(1)
        for _ in range(turns):
            await asyncio.sleep(0)
        assert await _left(hub, bell, within_s=CANCEL_AGAIN_S / 2)

    asyncio.run(leave())
