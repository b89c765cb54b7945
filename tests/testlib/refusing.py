"""The product's kernel worker with a kernel that refuses on demand, for steps that nothing else in a throw-away host can stop.

``celery -A tests.testlib.refusing``: every handler is the product's own; before a step whose kind the file :data:`ASKED` names is
carried out, the write ends as when the kernel refuses.
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cnmweb.celery import app
from networks.cnm.plan import Step

ASKED = Path("/run/bottle/refuse")
"""A kind of resource whose next creation or change fails; no file: nothing does."""

__all__ = ["ASKED", "app"]


def _refusing(apply: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(apply)
    def wrapped(self: Any, steps: Sequence[Step], done: Callable[[Step], None]) -> None:
        kind = ASKED.read_text().strip() if ASKED.exists() else ""
        at = next((n for n, step in enumerate(steps) if step.kind == kind and step.after is not None), None)
        if at is None:
            return apply(self, steps, done)
        if at:
            apply(self, steps[:at], done)
        raise OSError(errno.EPERM, f"{steps[at].describe()} is refused")

    return wrapped


@app.on_after_finalize.connect
def wrap(**_: Any) -> None:
    from worker.apply.links import LinksHandler
    from worker.apply.rules import RulesHandler

    for handler in (LinksHandler, RulesHandler):
        handler.apply = _refusing(handler.apply)  # type: ignore[method-assign]
