"""A thing of a container as a tar archive (pax), as Docker makes it: sorted, hard links as such, sockets left out, owners by number."""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from typing import BinaryIO

from networks.cnm.errors import InvalidSpec
from networks.cnm.text import gettext_noop

DEEPEST = 900
"""Folders in one another."""
_CAPABILITY = "security.capability"
_BLOCK = 256 << 10
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


def pack(thing: int, name: str, out: BinaryIO) -> None:
    """Write the thing that is open at *thing* (O_PATH), and what is below it, under *name*.

    Every name is looked up in a folder that is held open and no link is followed, so whatever the container does meanwhile, nothing but
    its own files is read. Raises OSError, InvalidSpec.
    """
    with tarfile.open(fileobj=out, mode="w|", bufsize=_BLOCK, format=tarfile.PAX_FORMAT) as archive:
        _Packing(archive).put(thing, name)


class _Packing:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._seen: dict[tuple[int, int], str] = {}
        """Files with several names -> the first of them that was written."""

    def put(self, thing: int, name: str) -> None:
        self._one(thing, name)
        if not stat.S_ISDIR(os.fstat(thing).st_mode):
            return
        levels: list[tuple[str, int, list[str]]] = []
        try:
            levels.append((name, *_opened_folder(thing)))
            while levels:
                prefix, folder, names = levels[-1]
                if not names:
                    os.close(levels.pop()[1])
                    continue
                below = names.pop()
                path = f"{prefix.rstrip('/')}/{below}"
                entered = self._below(folder, below, path)
                if entered is not None:
                    levels.append((path, *entered))
                    if len(levels) > DEEPEST:
                        raise _too_deep(name)
        finally:
            for _, folder, _ in levels:
                os.close(folder)

    def _below(self, folder: int, name: str, path: str) -> tuple[int, list[str]] | None:
        """Write one entry; of a folder, it and its names."""
        try:
            thing = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError:  # it was deleted meanwhile
            return None
        try:
            self._one(thing, path)
            return _opened_folder(thing) if stat.S_ISDIR(os.fstat(thing).st_mode) else None
        finally:
            os.close(thing)

    def _one(self, thing: int, path: str) -> None:
        found = os.fstat(thing)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            return
        info = tarfile.TarInfo(path)
        info.type, info.mode = kind, stat.S_IMODE(found.st_mode)
        info.uid, info.gid, info.mtime = found.st_uid, found.st_gid, int(found.st_mtime)
        if kind == tarfile.SYMTYPE:
            info.linkname = os.readlink("", dir_fd=thing)
        elif kind in {tarfile.CHRTYPE, tarfile.BLKTYPE}:
            info.devmajor, info.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
        if not stat.S_ISDIR(found.st_mode) and found.st_nlink > 1:
            first = self._seen.setdefault((found.st_dev, found.st_ino), path)
            if first != path:
                info.type, info.linkname = tarfile.LNKTYPE, first
        if info.type == tarfile.REGTYPE:
            self._file(thing, info, found.st_size)
        else:
            self._archive.addfile(info)
        self._archive.members.clear()  # it remembers what it has written

    def _file(self, thing: int, info: tarfile.TarInfo, size: int) -> None:
        info.size = size  # what is written to it from now on is not copied
        with open(f"/proc/self/fd/{thing}", "rb", buffering=0) as file:
            with contextlib.suppress(OSError):
                capability = os.getxattr(file.fileno(), _CAPABILITY)
                info.pax_headers = {f"SCHILY.xattr.{_CAPABILITY}": capability.decode("utf-8", "surrogateescape")}
            self._archive.addfile(info, file)


def _too_deep(name: str) -> InvalidSpec:
    return InvalidSpec(
        gettext_noop("Folders lie more than {most} deep below {path}."),
        remedy=gettext_noop("Copy a part of it."),
        most=DEEPEST,
        path=name,
    )


def _opened_folder(thing: int) -> tuple[int, list[str]]:
    """A folder for looking names up in, and its names, the last one first."""
    folder = os.open(f"/proc/self/fd/{thing}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return folder, sorted(os.listdir(folder), reverse=True)
    except BaseException:
        os.close(folder)
        raise
