"""Running a further command in a container, with its output kept up to a bound."""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .cgroups import Cgroups
from .folders import Folders
from .interactive import Running, exit_code_of, start_interactive

TIMED_OUT = 124
"""As timeout(1) says it."""
ENDS_S = 10
"""How long the runtime may take to end after its command."""
OUTPUT_MAX = 1 << 20
"""Bytes of output and of errors that are kept, each; the rest is read and dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    exit_code: int
    """128 + the signal for a command that a signal ended; 124 when the time ran out (as timeout(1))."""
    stdout: str
    stderr: str
    truncated: bool = False
    timed_out: bool = False


def run_in_container(
    folders: Folders,
    cgroups: Cgroups,
    runtime: Sequence[str],
    container_id: str,
    args: Sequence[str],
    *,
    env: Sequence[tuple[str, str]],
    user: str,
    working_dir: str,
    tty: bool,
    timeout_s: float,
) -> ExecResult:
    """Run *args* with the rights of the container's own process. Raises InvalidSpec for a command that cannot start."""
    deadline = time.monotonic() + timeout_s
    running = start_interactive(
        folders,
        cgroups,
        runtime,
        container_id,
        args,
        env=env,
        user=user,
        working_dir=working_dir,
        tty=tty,
        term="xterm",
        stdin=False,
    )
    try:
        outputs, truncated, in_time = _collect(_ends(running), deadline)
        if not in_time:
            running.kill_session()
            running.close()  # the command inside too, which the runtime's own end would leave running
        code = running.process.wait(ENDS_S)
    finally:
        running.close()
    return ExecResult(
        exit_code=exit_code_of(code) if in_time else TIMED_OUT,
        stdout=outputs[0].decode(errors="replace"),
        stderr=outputs[1].decode(errors="replace"),
        truncated=truncated,
        timed_out=not in_time,
    )


def _ends(running: Running) -> list[int | None]:
    """Where output and errors come from; a terminal has one end for both."""
    if running.terminal is not None:
        return [running.terminal, None]
    return [stream and stream.fileno() for stream in (running.process.stdout, running.process.stderr)]


def _collect(ends: Sequence[int | None], deadline: float) -> tuple[list[bytes], bool, bool]:
    """(outputs, whether some was dropped, whether all ended before *deadline*)."""
    kept = [b"" for _ in ends]
    truncated = False
    with selectors.DefaultSelector() as selector:
        for number, end in enumerate(ends):
            if end is not None:
                selector.register(end, selectors.EVENT_READ, number)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return kept, truncated, False
            for key, _ in selector.select(left):
                piece = b""
                with contextlib.suppress(OSError):  # a terminal whose last user is gone gives EIO for its end
                    piece = os.read(key.fd, 1 << 16)
                if not piece:
                    selector.unregister(key.fileobj)
                    continue
                room = OUTPUT_MAX - len(kept[key.data])
                kept[key.data] += piece[:room]
                truncated = truncated or len(piece) > room
    return kept, truncated, True
