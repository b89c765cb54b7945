"""The sessions process: what it holds, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import pwd
import signal
from pathlib import Path

from django.conf import settings

from worker.runtime_of_host import GROUP, build_runtime

from . import book
from .holder import Holder, Limits
from .probing import probing
from .relayed import may_be_called, relaying
from .serve import serving


async def run(path: Path) -> None:
    """Hold sessions, and serve them at *path*, until a signal ends this process."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await book.end_lost()
    limits = Limits(keep_s=settings.TERMINAL_KEEP_S, idle_s=settings.TERMINAL_IDLE_S)
    runtime = build_runtime()
    holder = Holder(runtime, settings.HOST_NAME, limits)
    users, group = {0}, 0
    with contextlib.suppress(KeyError):
        users.add(pwd.getpwnam(GROUP).pw_uid)
        group = grp.getgrnam(GROUP).gr_gid
    async with serving(path, holder, frozenset(users), group), contextlib.AsyncExitStack() as stack:
        if may_be_called():
            calls = asyncio.create_task(relaying(path, settings.HOST_NAME, settings.RUN_DIR))
            stack.push_async_callback(_end, calls)
        stack.push_async_callback(_end, asyncio.create_task(probing(runtime, settings.HOST_NAME)))
        await holder.run(stop)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
