"""Python's collector of garbage rests while many things are made that stay: it would go through them again and again, and find nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside, in all threads, only what nobody refers to any more goes, at once as ever. Where it rests already, nothing changes: so
    who ends it is who began it, and it never rests for longer than one of them takes."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
