"""The terminal of a container's own process: its size, through conmon, which reads ``ctl`` in the container's bundle (a FIFO:
``1 ROWS COLUMNS``)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .session import Client

_WINDOW = 1
"""conmon's word for another size."""


class Console:
    """One face's way to one container's terminal."""

    has_room = True

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle

    def type(self, client: Client, data: bytes | None) -> None:
        """Nobody types here: see :class:`worker.sessions.joined.Joined`."""

    def resize(self, columns: int, rows: int) -> None:
        if not (0 < columns < 10_000 and 0 < rows < 10_000):
            return
        with contextlib.suppress(OSError):  # not started, or just ended: nobody has a window
            control = os.open(self._bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(control, f"{_WINDOW} {rows} {columns}\n".encode())
            finally:
                os.close(control)

    def detach(self, client: Client) -> None:
        """The face has gone."""
