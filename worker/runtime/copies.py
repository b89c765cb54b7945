"""Processes that read or write a container's root filesystem from outside: known by a file each, so that they end before it changes.

A root filesystem that is mounted while another mount of the same upper folder is still in use behaves as it likes (kernel,
``overlayfs.rst``). Who begins a copy notes it before it looks whether the container runs; who starts a container says so before it ends
the copies: so one of the two sees the other.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from .folders import Folders, make_folder
from .records import Pid

END_S = 10.0
"""How long a killed process may take to be gone."""


@contextlib.contextmanager
def noted(folders: Folders, container_id: str, number: int) -> Iterator[None]:
    """Inside, the process *number* is known to copy files of the container."""
    file = make_folder(folders.copies(container_id), 0o700) / str(number)
    file.write_text(json.dumps(asdict(Pid.of(number))))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def end_copies(folders: Folders, container_id: str) -> None:
    """End every process that copies files of the container; each tells its caller that it was cut off."""
    folder = folders.copies(container_id)
    for process in list(_known(folder)):
        process.signal(signal.SIGKILL)
        process.wait(END_S)
    shutil.rmtree(folder, ignore_errors=True)


def _known(folder: Path) -> Iterator[Pid]:
    with contextlib.suppress(FileNotFoundError):
        for file in folder.iterdir():
            with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
                yield Pid(**json.loads(file.read_text()))
