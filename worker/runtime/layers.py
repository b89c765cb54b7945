"""Copying what a container wrote into a layer of an image, with the marks of overlayfs kept."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Collection
from pathlib import Path

KEPT_MARKS = frozenset({"trusted.overlay.opaque"})
"""The only extended attribute of overlayfs that means the same in another place (kernel, ``overlayfs.rst``)."""
OVERLAY = "trusted.overlay."


def copy_layer(source: Path, target: Path, leave_out: Collection[str] = ()) -> None:
    """Copy the tree *source* over *target*: owners, modes, times, hard links, attributes, whiteouts, opaque folders.

    *leave_out* are paths relative to *source*. Sockets are left out: nobody listens any more.
    """
    _Copy(source, target, frozenset(leave_out)).run()


class _Copy:
    def __init__(self, source: Path, target: Path, leave_out: frozenset[str]) -> None:
        self.source = source
        self.target = target
        self.leave_out = leave_out
        self.seen: dict[tuple[int, int], Path] = {}

    def run(self) -> None:
        self._folder(self.source, self.target, "")

    def _folder(self, source: Path, target: Path, relative: str) -> None:
        target.mkdir(exist_ok=True)
        with os.scandir(source) as entries:
            for entry in sorted(entries, key=lambda item: item.name):
                below = f"{relative}/{entry.name}" if relative else entry.name
                if below not in self.leave_out:
                    self._entry(source / entry.name, target / entry.name, below)
        _copy_attributes(source, target, source.lstat())  # last: filling a folder changes its times

    def _entry(self, source: Path, target: Path, relative: str) -> None:
        found = source.lstat()
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFDIR:
            self._folder(source, target, relative)
            return
        if kind == stat.S_IFSOCK:
            return
        twin = self.seen.get((found.st_dev, found.st_ino))
        if twin is not None:
            os.link(twin, target, follow_symlinks=False)
            return
        if kind == stat.S_IFLNK:
            target.symlink_to(os.readlink(source))
        elif kind == stat.S_IFREG:
            shutil.copyfile(source, target, follow_symlinks=False)
        else:
            os.mknod(target, found.st_mode, found.st_rdev)  # a whiteout is the character device 0/0
        if found.st_nlink > 1:
            self.seen[found.st_dev, found.st_ino] = target
        _copy_attributes(source, target, found)


def _copy_attributes(source: Path, target: Path, found: os.stat_result) -> None:
    os.lchown(target, found.st_uid, found.st_gid)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(target, stat.S_IMODE(found.st_mode))  # after the owner: chown clears the set-id bits
    for name in os.listxattr(source, follow_symlinks=False):
        if not name.startswith(OVERLAY) or name in KEPT_MARKS:
            value = os.getxattr(source, name, follow_symlinks=False)
            try:
                os.setxattr(target, name, value, follow_symlinks=False)
            except OSError as error:
                if error.errno != errno.ENOTSUP:
                    raise
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)


def remove_devices(folder: Path) -> None:
    """Delete the block and character devices below *folder*.

    A container's /dev is made by the runtime; a device anywhere else in an image would be a way to the host's hardware.
    """
    for place, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(place, name)
            if stat.S_IFMT(os.lstat(path).st_mode) in {stat.S_IFBLK, stat.S_IFCHR}:
                os.unlink(path)


def disk_usage(folder: Path) -> int:
    """Bytes that a tree takes on disk; a file with several names counts once."""
    total = 0
    seen: set[int] = set()
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            found = os.lstat(os.path.join(place, name))
            if found.st_ino not in seen:
                seen.add(found.st_ino)
                total += found.st_blocks * 512
    return total
