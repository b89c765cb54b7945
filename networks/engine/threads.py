"""The threads in which the database is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 48
"""Questions to the database at once. Who waits for something to happen holds none meanwhile."""

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="engine")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what asks the database in a thread of the pool."""

    def with_database() -> T:
        close_old_connections()
        return work(*args, **kwargs)

    context = copy_context()
    return await asyncio.get_running_loop().run_in_executor(_pool, lambda: context.run(with_database))
