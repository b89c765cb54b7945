"""The product's kernel worker with a kernel that refuses, or a death that comes, on demand:
``python -m worker kernel --app tests.testlib.refusing``.

Every handler is the product's own. Before a step whose kind the file :data:`REFUSE` names is carried out, the write ends as when
the kernel refuses; ``-bridge`` there means steps that take one away, and further words must be in what the step says. When the
file :data:`DIE` holds *n*, the process kills itself when *n* steps are done, 0 being before the first.
"""

from __future__ import annotations

import errno
import functools
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cnmweb.celery import app
from networks.cnm.plan import Step

REFUSE = Path("/run/bottle/refuse")
DIE = Path("/run/bottle/die")

__all__ = ["DIE", "REFUSE", "app"]


def _refusing(apply: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(apply)
    def wrapped(self: Any, steps: Sequence[Step], done: Callable[[Step], None]) -> None:
        at = next((n for n, step in enumerate(steps) if _refuses(step)), None)
        if at is None:
            return apply(self, steps, done)
        if at:
            apply(self, steps[:at], done)
        raise OSError(errno.EPERM, f"{steps[at].describe()} is refused")

    return wrapped


def _refuses(step: Step) -> bool:
    kind, _, words = (REFUSE.read_text().strip() if REFUSE.exists() else "").partition(" ")
    takes_away = kind.startswith("-")
    return step.kind == kind.removeprefix("-") and (step.after is None) == takes_away and words in step.describe()


def _dying(apply: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(apply)
    def wrapped(self: Any, steps: Sequence[Step], done: Callable[[Step], None]) -> None:
        _live_on(0)

        def count(step: Step) -> None:
            done(step)
            _live_on(1)

        apply(self, steps, count)

    return wrapped


def _live_on(done: int) -> None:
    """Die if it is time: *done* more steps are."""
    if not DIE.exists():
        return
    left = int(DIE.read_text()) - done
    if left > 0:
        DIE.write_text(str(left))
        return
    DIE.unlink()
    os.kill(os.getpid(), signal.SIGKILL)


@app.on_after_finalize.connect
def wrap(**_: Any) -> None:
    from worker.apply.files import FilesHandler
    from worker.apply.links import LinksHandler
    from worker.apply.ports import PortsHandler
    from worker.apply.processes import ProcessesHandler
    from worker.apply.rules import RulesHandler
    from worker.apply.sysctls import SysctlsHandler

    handlers: tuple[Any, ...] = (
        FilesHandler,
        LinksHandler,
        PortsHandler,
        ProcessesHandler,
        RulesHandler,
        SysctlsHandler,
    )
    for handler in handlers:
        handler.apply = _dying(_refusing(handler.apply))
