"""Who is connected to a container's streams, so that its command begins when they hear it.

conmon passes on what a process prints to whoever is connected at that moment, and waits for them. A face that asks for the streams of a
container that does not run yet is noted here by the process that connects for it; a start waits, between the making of the container and
its command, until each of them is connected to this very run.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from .folders import Folders, make_folder
from .records import Pid, Record, write_record

PATIENCE_S = 10.0
"""How long a start waits for them; who comes later is told that the beginning is lost."""
_PAUSE_S = 0.001


@contextlib.contextmanager
def noted(folders: Folders, container_id: str) -> Iterator[Callable[[str], None]]:
    """Inside, starts of the container wait for us; what it gives is called with a run once we are connected to it."""
    file = make_folder(folders.joining(container_id), 0o700) / secrets.token_hex(8)
    ours = asdict(Pid.of(os.getpid()))

    def connected(run: str) -> None:
        draft = file.with_suffix(".new")
        draft.write_text(json.dumps({"process": ours, "run": run}))
        draft.rename(file)

    connected("")
    try:
        yield connected
    finally:
        file.unlink(missing_ok=True)


def await_connected(folders: Folders, record: Record) -> Record:
    """Return when all who are noted are connected to a run, or are gone, or :data:`PATIENCE_S` is over; then that is written down, before
    the command is executed: whoever connects from then on may have missed something."""
    deadline = time.monotonic() + PATIENCE_S
    folder = folders.joining(record.container_id)
    while any(not _is_ready(file, record.run) for file in _files(folder)):
        if time.monotonic() >= deadline:
            return write_record(folders, replace(record, unawaited=True))
        time.sleep(_PAUSE_S)
    return record


def _files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if not file.suffix]
    except FileNotFoundError:
        return []


def _is_ready(file: Path, run: str) -> bool:
    try:
        value = json.loads(file.read_text())
        if value["run"] == run:
            return True
        if Pid(**value["process"]).alive:
            return False
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return True
    file.unlink(missing_ok=True)  # of a process that was killed
    return True
