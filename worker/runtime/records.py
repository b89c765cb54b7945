"""What is known of a container's current run, on files that outlive the worker and not the host."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from .folders import Folders
from .signals import wait_for_end


@dataclass(frozen=True, slots=True)
class Pid:
    """A process that is never confused with a later one of the same number."""

    number: int = 0
    started: int = 0
    """When it started, in clock ticks since the boot (proc(5), ``/proc/<pid>/stat`` field 22)."""

    @classmethod
    def of(cls, number: int) -> Self:
        """The process that has the number now; the null process when there is none."""
        started, _ = _stat(number)
        return cls(number, started) if started else cls()

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that ended and is not yet reaped does not."""
        if not self.number:
            return False
        started, state = _stat(self.number)
        return started == self.started and state not in "ZX"

    def signal(self, number: int) -> bool:
        """Send it a signal; whether there was a process to get it."""
        with self._held() as fd:
            if fd is None:
                return False
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, number)
            return True

    def wait(self, timeout_s: float) -> bool:
        """Wait until it ends; whether it has within *timeout_s*."""
        with self._held() as fd:
            return fd is None or wait_for_end(fd, timeout_s)

    @contextlib.contextmanager
    def _held(self) -> Iterator[int | None]:
        """A pidfd of it, or None when it is gone."""
        fd = None
        if self.number:
            with contextlib.suppress(ProcessLookupError):
                fd = os.pidfd_open(self.number)
        try:
            # Looked at only after the descriptor is held: now the number cannot pass to another process.
            yield fd if fd is not None and self.alive else None
        finally:
            if fd is not None:
                os.close(fd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One run of a container's process."""

    container_id: str
    run: str
    """``generation.restarts`` as compile named it."""
    pid: Pid = Pid()
    conmon: Pid = Pid()
    started: bool = False
    """False while the runtime has made the container and the command was not executed yet."""
    unawaited: bool = False
    """Whether the start did not wait for all who are to be connected to its streams: see :mod:`worker.runtime.joining`."""
    started_at: float = 0.0
    """Unix time."""
    deleted: bool = False
    """Whether we ended it ourselves."""

    @property
    def running(self) -> bool:
        return self.started and self.pid.alive


def write_record(folders: Folders, record: Record) -> Record:
    """Write it so that a reader sees the old or the new one, never half of one."""
    folder = folders.run(record.container_id)
    draft = folder / ".run.json"
    draft.write_text(json.dumps(asdict(record)))
    draft.rename(folder / "run.json")
    return record


def read_record(folders: Folders, container_id: str) -> Record | None:
    """None: no run is known since the host started, or one was cut off before it was written down."""
    try:
        value = json.loads((folders.run(container_id) / "run.json").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    value["pid"], value["conmon"] = Pid(**value["pid"]), Pid(**value["conmon"])
    return Record(**value)


def mark(folders: Folders, record: Record, *, started: bool = False, deleted: bool = False, now: float = 0.0) -> Record:
    """Write down that the command was executed (at *now*), or that we ended it."""
    changed = replace(
        record,
        started=record.started or started,
        deleted=record.deleted or deleted,
        started_at=now or record.started_at,
    )
    return write_record(folders, changed)


def container_ids(folders: Folders) -> list[str]:
    """Every container that has a run folder, sorted."""
    try:
        return sorted(os.listdir(folders.runs))
    except FileNotFoundError:
        return []


def read_pid_file(path: Path) -> Pid:
    """The process that a pid file names, if it lives; the null process otherwise."""
    try:
        return Pid.of(int(path.read_text()))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return Pid()


def read_exit_code(folders: Folders, container_id: str) -> int | None:
    """The exit code that conmon wrote down; None when there is none (yet)."""
    for path in (folders.exit_file(container_id), folders.run(container_id) / "exit"):
        try:
            return int(path.read_text())
        except (FileNotFoundError, ValueError):
            continue
    return None


def _stat(number: int) -> tuple[int, str]:
    """(start time, state) of a process; (0, "") when there is none."""
    try:
        with open(f"/proc/{number}/stat", "rb") as file:
            text = file.read().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0, ""
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return int(fields[19]), fields[0]
