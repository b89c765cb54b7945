"""Volumes: named folders below the state folder, each mounted into the containers that name it.

One that is empty when a container is made takes over what the image has at that place, with its owners, as with Docker.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from networks.cnm.errors import CnmError, InvalidSpec, KernelRefused, from_json
from networks.cnm.names import OBJECT_NAME
from networks.cnm.text import gettext_noop

from .bundle import parse_bind
from .folders import Folders, make_folder
from .kernel_calls import open_in

DATA = "_data"
COPY = "_copy-"
"""Begins the name of the folder beside the data that is to be moved there once it is whole."""
LONGEST_COPY_S = 60
"""How long what an image has at a volume's place may take to be copied where others wait for it."""
LONGEST_COPY_BESIDE_S = 15 * 60
"""The same where nobody but the container itself waits."""


def folder_of(folders: Folders, name: str) -> Path:
    """Where a volume is. Raises InvalidSpec for what is no name of one."""
    if not OBJECT_NAME.match(name):
        raise InvalidSpec(
            gettext_noop("{name} is not the name of a volume."),
            remedy=gettext_noop("Use letters, digits, dots, dashes and underscores."),
            field="binds",
            name=repr(name),
        )
    return folders.volumes / name


@contextlib.contextmanager
def opened_volume(folders: Folders, name: str) -> Iterator[int]:
    """A volume's folder, made where it is not there, held open (O_PATH)."""
    folder = folder_of(folders, name)
    make_folder(folders.volumes, 0o700)  # for who may look below runs what containers made root's
    make_folder(folder, 0o700)
    data = folder / DATA
    with contextlib.suppress(FileExistsError):  # others may be making it, too
        data.mkdir(mode=0o755)
        data.chmod(0o755)
    opened = os.open(data, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)


def fill_all(
    folders: Folders, container_id: str, binds: Sequence[str], rootfs: Path, longest_s: float = LONGEST_COPY_S
) -> None:
    """Let the volumes of a container have what *rootfs* has at their places, once in its life. Raises KernelRefused.

    Belongs to the slow process (:mod:`worker.filling`), whose refusal is told here, once, where a start comes upon it.
    """
    if is_filled(folders, container_id, binds):
        return
    if refused := _refusal(folders, container_id):
        raise refused
    for bind in binds:
        source, destination, _ = parse_bind(bind)
        if not source.startswith("/"):
            fill(folders, source, rootfs, destination, longest_s)
    note_filled(folders, container_id)


def is_filled(folders: Folders, container_id: str, binds: Sequence[str]) -> bool:
    """Whether the volumes of a container were offered what its image has at their places. What it deletes of that stays deleted."""
    return all(bind.startswith("/") for bind in binds) or folders.filled(container_id).exists()


def note_filled(folders: Folders, container_id: str) -> None:
    folders.filled(container_id).touch(mode=0o600)


def note_refusal(folders: Folders, container_id: str, error: CnmError | None) -> None:
    """Keep for the start of a container why its volumes could not be filled; None: nothing stands against it."""
    note = folders.unfilled(container_id)
    if error is None:
        note.unlink(missing_ok=True)
    else:
        with contextlib.suppress(FileNotFoundError):  # the container is gone
            note.write_text(json.dumps(error.to_json()))


def _refusal(folders: Folders, container_id: str) -> CnmError | None:
    note = folders.unfilled(container_id)
    try:
        return from_json(json.loads(note.read_text()))
    except FileNotFoundError:
        return None
    finally:
        note.unlink(missing_ok=True)  # the next start tries again


def fill(folders: Folders, name: str, rootfs: Path, destination: str, longest_s: float = LONGEST_COPY_S) -> None:
    """Let a volume that is empty have what stands at *destination* in a root filesystem, all of it or nothing. Raises KernelRefused."""
    with opened_volume(folders, name) as opened, _alone(folder_of(folders, name)):
        if os.listdir(f"/proc/self/fd/{opened}/"):
            return
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            open_in(rootfs, destination, os.O_PATH | os.O_DIRECTORY) as source,
        ):
            _take_over(source, opened, folder_of(folders, name), name, longest_s)


def has_content(folders: Folders, name: str) -> bool:
    """Whether there is anything in a volume, so that it takes nothing over."""
    with opened_volume(folders, name) as opened:
        return bool(os.listdir(f"/proc/self/fd/{opened}/"))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One at a time fills a volume: two would delete each other's copies, or mix what they have."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _take_over(source: int, target: int, folder: Path, name: str, longest_s: float) -> None:
    """First beside the volume's data, then in one go into it: what a full disk or our own end cuts off would be taken for the volume's."""
    for left in folder.glob(f"{COPY}*"):
        shutil.rmtree(left, ignore_errors=True)
    copy = Path(tempfile.mkdtemp(prefix=COPY, dir=folder))
    # It ends with us: what it reads may be a mount that is ours alone (a container that starts ends us first).
    command = ["setpriv", "--pdeathsig", "KILL", "cp", "-a", "--reflink=auto"]
    command += [f"/proc/self/fd/{source}/.", f"{copy}/"]
    try:
        subprocess.run(command, check=True, capture_output=True, pass_fds=(source,), timeout=longest_s)
        if os.listdir(f"/proc/self/fd/{target}/"):
            return  # another container wrote there while it was copied
        like = copy.stat()
        os.chown(f"/proc/self/fd/{target}/", like.st_uid, like.st_gid)
        shutil.copystat(copy, f"/proc/self/fd/{target}/")
        _move(copy, target)
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", b"") or b""
        raise KernelRefused(
            gettext_noop("Volume {name} could not take over what the image has at its place: {cause}."),
            remedy=gettext_noop("See that the disk has room, or fill the volume before."),
            field="binds",
            name=name,
            cause=said.decode(errors="replace").strip()[-300:] or str(error),
        ) from error
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _move(copy: Path, target: int) -> None:
    """Move what is in *copy* to *target*. Raises OSError, which leaves nothing there: a part would be taken for the volume's."""
    moved: list[str] = []
    try:
        for entry in os.listdir(copy):
            os.rename(copy / entry, entry, dst_dir_fd=target)
            moved.append(entry)
    except OSError:
        for entry in moved:
            with contextlib.suppress(FileNotFoundError):  # who uses the volume took it away
                os.rename(entry, copy / entry, src_dir_fd=target)
        raise


def remove(folders: Folders, name: str) -> None:
    """Delete a volume with what is in it; one that is not there is no failure."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder_of(folders, name))
