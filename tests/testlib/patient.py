"""The product's kernel worker, in which the pause that a silent plugin gets lasts for as long as a test likes:
``python -m worker kernel --app tests.testlib.patient``.

While the file :data:`LASTS` exists no breaker that is open lets anything through; beside that it is the product's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnmweb.celery import app

LASTS = Path("/run/bottle/pause-lasts")

__all__ = ["LASTS", "app"]


@app.on_after_finalize.connect
def wrap(**_: Any) -> None:
    from worker.plugins.breaker import Breaker

    lets_through = Breaker.lets_through

    def wrapped(self: Breaker) -> bool:
        return lets_through(self) and (self.is_closed or not LASTS.exists())

    Breaker.lets_through = wrapped  # type: ignore[method-assign]
