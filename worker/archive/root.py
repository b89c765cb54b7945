"""The root filesystem of a container as a copy sees it: its files, its bind mounts and the three files in /etc, and nothing that belongs
to a running process (/proc, /dev, /sys), as with Docker.

It is put together in a mount namespace of this process alone, which ends with it. Nothing of the container is executed, and no library
of it is loaded: this process never makes that filesystem its own root, it opens each path as if it were (``openat2``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from networks.cnm.errors import Conflict, Unavailable
from networks.cnm.text import gettext_noop
from worker.kernel.syscalls import CLONE_NEWNS, setns, unshare
from worker.runtime.binds import opened_source
from worker.runtime.bundle import ETC_FILES, parse_bind
from worker.runtime.images import ImageStore
from worker.runtime.kernel_calls import (
    MS_PRIVATE,
    MS_REC,
    clone_mount,
    make_folders_in,
    make_read_only,
    mount,
    open_in,
    put_mount_on,
)
from worker.runtime.records import Record, read_record
from worker.runtime.rootfs import mount_rootfs

from .task import Task

STARTS_S = 20.0
"""How long a container may be between stopped and running."""


def enter(task: Task) -> Path:
    """Make this process see the container's root filesystem; where. Raises a CnmError."""
    record = _in_turn(task)
    if record is not None and record.pid.alive:
        _join(record)
    unshare(CLONE_NEWNS)
    mount("none", Path("/"), flags=MS_PRIVATE | MS_REC)
    rootfs = task.folders.rootfs(task.container_id)
    if not os.path.ismount(rootfs):
        store = ImageStore(task.folders)
        mount_rootfs(task.folders, task.container_id, store.layers(store.for_container(task.container_id, task.image)))
    for number, bind in enumerate(task.binds):
        _bind(task, rootfs, number, bind, running=record is not None and record.pid.alive)
    for name in ETC_FILES:
        _place(task.folders.container(task.files_of or task.container_id) / name, rootfs, f"/etc/{name}")
    return rootfs


def _in_turn(task: Task) -> Record | None:
    """Its run, as :func:`_settled`, once no other copy is in the way, until this process ends.

    Copies of a running container see the one mount that it has. Without one each makes its own, and two mounts of the same upper folder
    destroy what the other has under way; so such a copy is alone, as with Docker.
    """
    folder = os.open(task.folders.make_container(task.container_id), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    while True:
        record = _settled(task)
        runs = record is not None and record.pid.alive
        fcntl.flock(folder, fcntl.LOCK_SH if runs else fcntl.LOCK_EX)
        now = _settled(task)
        if (now is not None and now.pid.alive) == runs:
            return now


def _settled(task: Task) -> Record | None:
    """Its run, which is not just being made; None: it does not run."""
    deadline = time.monotonic() + STARTS_S
    while (record := read_record(task.folders, task.container_id)) is not None and not record.pid.number:
        if time.monotonic() > deadline:
            raise Conflict(
                gettext_noop("Container {container} is just being started."),
                remedy=gettext_noop("Try again in a moment."),
                container=task.name,
            )
        time.sleep(0.05)
    return record


def _join(record: Record) -> None:
    """Go where the root filesystem of a running container is mounted: to its supervisor, which lives as long as it does."""
    try:
        namespace = os.open(f"/proc/{record.conmon.number}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        namespace = -1
    if namespace < 0 or not record.conmon.alive:
        raise Unavailable(
            gettext_noop(
                "The supervisor (conmon) of the container has gone, and nobody knows where its files are mounted."
            ),
            remedy=gettext_noop("Start the container anew."),
        )
    setns(namespace, CLONE_NEWNS)
    os.close(namespace)


def _bind(task: Task, rootfs: Path, number: int, bind: str, *, running: bool) -> None:
    source, destination, access = parse_bind(bind)
    place = task.folders.binds(task.container_id) / str(number)
    # Of a running container what was mounted at its start; of another what would be.
    with contextlib.ExitStack() as stack:
        if running and os.path.lexists(place):
            opened = stack.enter_context(_opened(place))
        else:
            opened = stack.enter_context(opened_source(task.folders, source, task.bind_roots))
        _put(opened, rootfs, destination, read_only=access == "ro", make=True)


def _place(source: Path, rootfs: Path, destination: str) -> None:
    """One of the three files in /etc, where both it and its place are there."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), _opened(source) as opened:
        _put(opened, rootfs, destination)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    found = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield found
    finally:
        os.close(found)


def _put(opened: int, rootfs: Path, destination: str, *, read_only: bool = False, make: bool = False) -> None:
    folder = stat.S_ISDIR(os.fstat(opened).st_mode)
    if make:
        _make_place(rootfs, destination, folder)
    with clone_mount(opened) as tree, open_in(rootfs, destination, os.O_PATH) as place:
        if read_only:
            make_read_only(tree)
        put_mount_on(tree, place)


def _make_place(rootfs: Path, destination: str, folder: bool) -> None:
    """As the runtime does at a start, where the image has nothing to mount on."""
    parent, _, name = destination.rpartition("/")
    make_folders_in(rootfs, destination if folder else parent)
    if not folder:
        with contextlib.suppress(FileExistsError), open_in(rootfs, parent or "/", os.O_PATH | os.O_DIRECTORY) as fd:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=fd))
