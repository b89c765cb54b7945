"""Volumes: named folders below the state folder, each mounted into the containers that name it.

One that is empty when a container is first started with it takes over what the image has at that place, with its owners, as with Docker.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from networks.cnm.errors import InvalidSpec, KernelRefused
from networks.cnm.names import OBJECT_NAME
from networks.cnm.text import gettext_noop

from .folders import Folders, make_folder
from .kernel_calls import open_in

DATA = "_data"
COPY = "_copy-"
"""Begins the name of the folder beside the data that is to be moved there once it is whole."""
LONGEST_COPY_S = 60
"""How long what an image has at a volume's place may take to be copied."""


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
    if not data.exists():
        data.mkdir(mode=0o755)
        data.chmod(0o755)
    opened = os.open(data, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)


def fill(folders: Folders, name: str, rootfs: Path, destination: str) -> None:
    """Let a volume that is empty have what stands at *destination* in a root filesystem, all of it or nothing. Raises KernelRefused."""
    with opened_volume(folders, name) as opened:
        if os.listdir(f"/proc/self/fd/{opened}/"):
            return
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            open_in(rootfs, destination, os.O_PATH | os.O_DIRECTORY) as source,
        ):
            _take_over(source, opened, folder_of(folders, name), name)


def _take_over(source: int, target: int, folder: Path, name: str) -> None:
    """First beside the volume's data, then in one go into it: what a full disk or our own end cuts off would be taken for the volume's."""
    for left in folder.glob(f"{COPY}*"):
        shutil.rmtree(left, ignore_errors=True)
    copy = Path(tempfile.mkdtemp(prefix=COPY, dir=folder))
    command = ["cp", "-a", "--reflink=auto", f"/proc/self/fd/{source}/.", f"{copy}/"]
    try:
        subprocess.run(command, check=True, capture_output=True, pass_fds=(source,), timeout=LONGEST_COPY_S)
        for entry in os.listdir(copy):
            os.rename(copy / entry, entry, dst_dir_fd=target)
        like = copy.stat()
        os.chown(f"/proc/self/fd/{target}/", like.st_uid, like.st_gid)
        shutil.copystat(copy, f"/proc/self/fd/{target}/")
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


def remove(folders: Folders, name: str) -> None:
    """Delete a volume with what is in it; one that is not there is no failure."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder_of(folders, name))
