"""Ending tasks for sure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

CANCEL_AGAIN_S = 1.0
"""After how long work that took no notice of a cancellation is cancelled again."""


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel *tasks*; returns when all of them have ended, however.

    What they wait for may swallow a cancellation that comes as it is done: Python 3.11's ``asyncio.wait_for`` does, wherever it is used.
    """
    going = {task for task in tasks if not task.done()}
    while going:
        for task in going:
            task.cancel()
        ended, going = await asyncio.wait(going, timeout=CANCEL_AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # so that nobody is told that it was never asked for
