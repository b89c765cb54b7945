"""Processes that ended: found by the files that conmon left, told once, then forgotten."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from .cgroups import Cgroups
from .folders import Folders
from .records import container_ids, read_exit_code, read_record
from .runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """The end of one run."""

    container_id: str
    run: str
    exit_code: int | None
    """128 + the signal for one that a signal ended; None: its supervisor was killed too, so nobody knows."""
    finished_at: float
    """Unix time."""
    started_at: float = 0.0
    oom_killed: bool = False
    by_us: bool = False
    """Whether we ended it by deleting it: a forced removal, or the undoing of a start of which another part failed."""


def scan(folders: Folders, cgroups: Cgroups) -> list[Exit]:
    """Every run that ended and was not consumed yet, in the order in which they ended."""
    found = [ended for name in container_ids(folders) if (ended := _ended(folders, cgroups, name)) is not None]
    return sorted(found, key=lambda ended: ended.finished_at)


def consume(runtime: Runtime, ended: Exit) -> None:
    """Forget an end that was written down elsewhere, and tidy up after it. A newer run is left alone."""
    record = read_record(runtime.folders, ended.container_id)
    if record is not None and record.run == ended.run and not record.pid.alive:
        runtime.clear(ended.container_id)


def _ended(folders: Folders, cgroups: Cgroups, container_id: str) -> Exit | None:
    record = read_record(folders, container_id)
    if record is None or not record.started or record.pid.alive:
        return None
    code = read_exit_code(folders, container_id)
    if code is None and record.conmon.alive:
        return None  # it is about to write the file
    try:
        finished_at = os.stat(folders.exit_file(container_id)).st_mtime
    except FileNotFoundError:
        finished_at = time.time()
    return Exit(
        container_id=container_id,
        run=record.run,
        exit_code=code,
        finished_at=finished_at,
        started_at=record.started_at,
        oom_killed=cgroups.oom_killed(container_id),
        by_us=record.deleted,
    )
