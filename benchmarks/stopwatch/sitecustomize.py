"""Python loads this where its folder is on the path: in the processes of a product that :mod:`benchmarks.steps` measures.

When the file ``CNM_STOPWATCH`` is there, every function that it names (``module:name``, a line each) notes beside it when it began and
ended, on the clock that all processes share, and how much of its thread's processor time it took.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

LOOK_S = 0.2


def watched(function: Callable[..., Any], name: str, notes: TextIO) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        begun, worked = time.monotonic(), time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            notes.write(f"{begun} {time.monotonic()} {time.thread_time() - worked} {name}\n")

    return call


def put_in_place(name: str, notes: TextIO) -> None:
    """Where a function is known by its name in other modules too, it is exchanged there as well."""
    module, _, path = name.partition(":")
    if module not in sys.modules:
        return
    *holders, last = path.split(".")
    holder: Any = functools.reduce(getattr, holders, sys.modules[module])
    found = getattr(holder, last)
    exchanged = watched(found, name, notes)
    setattr(holder, last, exchanged)
    for other in list(sys.modules.values()) if not holders else ():
        for known, value in list(vars(other).items()) if isinstance(other, ModuleType) else ():
            if value is found:
                setattr(other, known, exchanged)


def when_told(order: Path) -> None:
    while not order.exists():
        time.sleep(LOOK_S)
    notes = order.with_name(f"{order.name}.{os.getpid()}").open("w", buffering=1)
    for name in order.read_text().split():
        put_in_place(name, notes)


if order := os.environ.get("CNM_STOPWATCH"):
    threading.Thread(target=when_told, args=[Path(order)], daemon=True).start()
