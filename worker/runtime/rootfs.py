"""Root filesystems: copy-on-write overlays on images, mounted in the mount namespace of the process that calls.

A container keeps what it wrote (``upper/``) until it is removed; its mounts end with its process and are made anew at
the next start, also after a reboot.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from networks.cnm.errors import KernelRefused
from networks.cnm.names import short
from networks.cnm.text import gettext_noop

from .folders import Folders, make_folder
from .kernel_calls import MS_NODEV, mount, unmount

ROOT = "root"
"""The name of the overlay that is mounted at ``/``; the others are named like the folder at which they are mounted."""
MAX_OPTIONS = os.sysconf("SC_PAGE_SIZE") - 1
"""``mount(2)`` takes one page of options."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One overlay of a root filesystem: *name* is ``root`` or a top-level folder; *lower* from the top down."""

    name: str
    lower: tuple[Path, ...]


def mount_rootfs(folders: Folders, container_id: str, layers: Iterable[Layer]) -> Path:
    """Mount the container's root filesystem, if it is not mounted yet, and give its path."""
    target = folders.rootfs(container_id)
    if os.path.ismount(target):
        return target
    make_folder(target, 0o700)
    try:
        for layer in layers:
            _mount_overlay(folders, container_id, layer, target if layer.name == ROOT else target / layer.name)
    except OSError as error:
        unmount_rootfs(folders, container_id)
        raise KernelRefused(
            gettext_noop("The root filesystem of container {container} could not be mounted: {cause}."),
            remedy=gettext_noop(
                "Check that {folder} has room and is on a filesystem that overlayfs writes on (ext4, xfs, tmpfs)."
            ),
            container=short(container_id),
            cause=error.strerror,
            folder=str(folders.containers),
            facts={"errno": error.errno},
        ) from error
    return target


def unmount_rootfs(folders: Folders, container_id: str) -> bool:
    """Take the mounts away; what the container wrote stays. Whether there was anything to do."""
    target = folders.rootfs(container_id)
    mounted = os.path.ismount(target)
    if mounted:
        unmount(target)
    return mounted


def remove_container_files(folders: Folders, container_id: str) -> None:
    """Delete everything of a container that was removed: its mounts, what it wrote, its log and files, its records."""
    unmount_rootfs(folders, container_id)
    shutil.rmtree(folders.run(container_id), ignore_errors=True)
    folders.exit_file(container_id).unlink(missing_ok=True)
    folder = folders.container(container_id)
    if folder.is_dir():
        _refuse_mounts_below(folder)
        shutil.rmtree(folder)


def _mount_overlay(folders: Folders, container_id: str, layer: Layer, target: Path) -> None:
    upper, work = folders.upper(container_id) / layer.name, folders.work(container_id) / layer.name
    if not upper.is_dir():
        for parent in (upper.parent, work.parent):
            make_folder(parent, 0o700)
        # The top of an overlay shows the mode of its upper folder, so this is the mode that the container sees.
        make_folder(upper, layer.lower[0].stat().st_mode & 0o7777)
    make_folder(work, 0o700)
    options = overlay_options(layer.lower, upper, work)
    if len(options) > MAX_OPTIONS:
        raise OSError(7, "the image has too many layers")
    mount("overlay", target, "overlay", MS_NODEV, options)


def overlay_options(lower: Iterable[Path], upper: Path, work: Path) -> str:
    """Options for an overlay whose upper folder stands by itself: nothing in it refers to the layers below.

    Redirects are neither made nor followed, so no extended attribute in an image can point out of its layer.
    """
    stack = ":".join(_escape(path) for path in lower)
    return (
        f"lowerdir={stack},upperdir={_escape(upper)},workdir={_escape(work)}"
        ",redirect_dir=nofollow,metacopy=off,index=off"
    )


def _escape(path: Path) -> str:
    text = str(path)
    for sign in "\\:,":
        text = text.replace(sign, f"\\{sign}")
    return text


def _refuse_mounts_below(folder: Path) -> None:
    """Deleting through a mount would delete what is mounted: never delete a folder in which something still is."""
    inside = f"{folder}/"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if line.split()[4].startswith(inside):
            raise KernelRefused(
                gettext_noop("{path} is still mounted, so the files of the container were not deleted."),
                remedy=gettext_noop("Unmount it (umount) and repair."),
                path=line.split()[4],
            )
