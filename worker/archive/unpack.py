"""A tar archive put into a folder of a container, as Docker does it.

Each place is looked up as if the container's root filesystem were ``/``, and the last part of it in a folder that is held open: neither
the archive's names and links nor what the container does meanwhile leads out of it. Devices are refused: one on a mounted folder of the
host would be the host's.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import shutil
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from networks.cnm import tarballs
from networks.cnm.errors import Conflict, InvalidSpec
from networks.cnm.text import gettext_noop
from worker.runtime.bundle import User
from worker.runtime.kernel_calls import make_folders_in, open_in

from .paths import ASTRAY, missing

MOST_ENTRIES = 1_000_000
_PIECE = 256 << 10
_XATTR = "SCHILY.xattr."
_KEPT_ATTRIBUTES = ("security.capability", "user.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How an archive is put."""

    keep_kinds: bool = False
    """Refuse to put a folder in the place of something else, or the other way round."""
    owner: User | None = None
    """Whom everything is to belong to; None: whom the archive says."""
    most_bytes: int
    """Of what is written, and of the headers that say so."""


def unpack(rootfs: Path, folder: str, container: str, source: BinaryIO, wishes: Wishes) -> None:
    """Put the archive that *source* gives, plain or compressed, into *folder*.

    What came before an error stays, as with Docker. Raises a CnmError.
    """
    _check_folder(rootfs, folder, container)
    unpacking = _Unpacking(rootfs, folder, wishes)
    try:
        with tarfile.open(fileobj=source, mode="r|*", bufsize=_PIECE, tarinfo=tarballs.BoundedInfo) as archive:
            for entry in tarballs.members(archive):
                unpacking.put(archive, entry)
            unpacking.finish()
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise _refusal(folder, str(error) or "unexpected EOF") from error
    except OSError as error:
        raise _refusal(folder, f"{unpacking.current}: {error.strerror or error}") from error
    finally:
        unpacking.close()


def _check_folder(rootfs: Path, folder: str, container: str) -> None:
    try:
        with open_in(rootfs, folder, os.O_PATH) as found:
            is_folder = stat.S_ISDIR(os.fstat(found).st_mode)
            read_only = bool(os.statvfs(found).f_flag & os.ST_RDONLY)
    except OSError as error:
        if error.errno not in ASTRAY:
            raise
        raise missing(folder, container, error) from error
    if not is_folder:
        raise InvalidSpec(
            gettext_noop("{path} in container {container} is no folder, so no archive can be put into it."),
            remedy=gettext_noop("Name a folder."),
            path=folder,
            container=container,
        )
    if read_only:
        raise Conflict(
            gettext_noop("{path} in container {container} is on a mount that is read-only."),
            remedy=gettext_noop("Copy to another place."),
            path=folder,
            container=container,
        )


class _Unpacking:
    def __init__(self, rootfs: Path, folder: str, wishes: Wishes) -> None:
        self._rootfs = rootfs
        self._folder = folder.rstrip("/")
        self._wishes = wishes
        self._left = wishes.most_bytes
        self._entries = 0
        self._parent = -1
        """The folder that was used last."""
        self._parent_name: str | None = None
        """What it is called below ours; None: it may be called otherwise by now."""
        self._times: list[tuple[str, int]] = []
        """Folders and the times that they get at the end, for filling them changes theirs."""
        self.current = ""
        """What is worked on, for sentences."""

    def close(self) -> None:
        if self._parent >= 0:
            os.close(self._parent)
            self._parent = -1

    def put(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        self._count(entry)
        name = _inside(entry.name, self._folder)
        self.current = f"{self._folder}/{name}"
        if not name:
            return  # the folder itself, which is there
        parent, _, base = name.rpartition("/")
        place = self._opened(parent)
        there = self._make_way(place, base, entry)
        if entry.isdir():
            if not there:
                os.mkdir(base, 0o700, dir_fd=place)
            self._dress_folder(place, base, entry)
            self._times.append((name, int(entry.mtime)))
        elif entry.isreg():
            self._file(archive, entry, place, base)
        elif entry.issym():
            os.symlink(entry.linkname, base, dir_fd=place)
            self._own(place, base, entry)
            _set_time(place, base, entry)
        elif entry.islnk():
            self._link(entry, place, base)
        elif entry.isfifo():
            os.mkfifo(base, entry.mode & 0o777, dir_fd=place)
            self._own(place, base, entry)
            _set_time(place, base, entry)
        else:
            raise tarfile.ReadError(f"{name} is a device, which is not put into containers")

    def finish(self) -> None:
        for name, mtime in reversed(self._times):
            place = f"{self._folder}/{name}"
            with contextlib.suppress(OSError), open_in(self._rootfs, place, os.O_RDONLY | os.O_DIRECTORY) as folder:
                os.utime(folder, (mtime, mtime))

    def _count(self, entry: tarfile.TarInfo) -> None:
        self._entries += 1
        self._left -= tarfile.BLOCKSIZE + (entry.size if entry.isreg() else 0)
        if self._left < 0:
            raise InvalidSpec(
                gettext_noop("The archive is larger than {most} MiB."),
                remedy=gettext_noop("Copy it to the host and give its path, or raise CNM_UPLOAD_MAX_MIB."),
                most=self._wishes.most_bytes >> 20,
            )
        if self._entries > MOST_ENTRIES:
            raise InvalidSpec(
                gettext_noop("The archive holds more than {most} entries."),
                remedy=gettext_noop("Copy it in parts."),
                most=MOST_ENTRIES,
            )

    def _opened(self, parent: str) -> int:
        """A descriptor of the folder *parent*, which is made where it is missing."""
        if self._parent_name == parent:
            return self._parent
        self.close()
        path = f"{self._folder}/{parent}"
        try:
            self._parent = self._held(path)
        except FileNotFoundError:
            make_folders_in(self._rootfs, path)
            self._parent = self._held(path)
        self._parent_name = parent
        return self._parent

    def _held(self, path: str) -> int:
        with open_in(self._rootfs, path, os.O_PATH | os.O_DIRECTORY) as found:
            return os.dup(found)

    def _make_way(self, place: int, base: str, entry: tarfile.TarInfo) -> bool:
        """Take away what is at a place, unless it is a folder for a folder; whether it is that."""
        try:
            found = os.stat(base, dir_fd=place, follow_symlinks=False)
        except FileNotFoundError:
            return False
        there = stat.S_ISDIR(found.st_mode)
        if there and entry.isdir():
            return True
        if self._wishes.keep_kinds and there != entry.isdir():
            kinds = ("directory", "non-directory") if there else ("non-directory", "directory")
            raise tarfile.ReadError(f'cannot overwrite {kinds[0]} "{self.current}" with {kinds[1]} "{entry.name}"')
        if there:
            shutil.rmtree(base, dir_fd=place)
        else:
            os.unlink(base, dir_fd=place)
        self._parent_name = None
        return False

    def _file(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, place: int, base: str) -> None:
        content = archive.extractfile(entry)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(base, flags, 0o600, dir_fd=place), "wb", buffering=0) as file:
            left = entry.size
            while left:
                piece = content.read(min(left, _PIECE)) if content is not None else b""
                if not piece:
                    raise EOFError
                file.write(piece)
                left -= len(piece)
            os.fchown(file.fileno(), *self._owner(entry))
            for name, value in entry.pax_headers.items():
                if name.startswith(_XATTR) and name.removeprefix(_XATTR).startswith(_KEPT_ATTRIBUTES):
                    with contextlib.suppress(OSError):  # a filesystem without them
                        os.setxattr(file.fileno(), name.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))
            os.fchmod(file.fileno(), stat.S_IMODE(entry.mode))  # after the owner: chown clears the set-id bits
            os.utime(file.fileno(), (entry.mtime, entry.mtime))

    def _dress_folder(self, place: int, base: str, entry: tarfile.TarInfo) -> None:
        """Through a descriptor: by its name it may be a link by now."""
        folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
        try:
            os.fchown(folder, *self._owner(entry))
            os.fchmod(folder, stat.S_IMODE(entry.mode))
        finally:
            os.close(folder)

    def _link(self, entry: tarfile.TarInfo, place: int, base: str) -> None:
        target = _inside(entry.linkname, self._folder)
        parent, _, name = target.rpartition("/")
        with open_in(self._rootfs, f"{self._folder}/{parent}", os.O_PATH | os.O_DIRECTORY) as folder:
            os.link(name, base, src_dir_fd=folder, dst_dir_fd=place, follow_symlinks=False)

    def _own(self, place: int, base: str, entry: tarfile.TarInfo) -> None:
        os.chown(base, *self._owner(entry), dir_fd=place, follow_symlinks=False)

    def _owner(self, entry: tarfile.TarInfo) -> tuple[int, int]:
        owner = self._wishes.owner
        return (owner.uid, owner.gid) if owner is not None else (entry.uid, entry.gid)


def _set_time(place: int, base: str, entry: tarfile.TarInfo) -> None:
    os.utime(base, (entry.mtime, entry.mtime), dir_fd=place, follow_symlinks=False)


def _inside(name: str, folder: str) -> str:
    """The place below *folder* that an archive's name means; empty: the folder itself. Raises ReadError for one outside."""
    found = posixpath.normpath(name.lstrip("/") or ".")
    if found == ".." or found.startswith("../") or "\0" in found:
        raise tarfile.ReadError(f"{name} leads out of {folder or '/'}")
    return "" if found == "." else found


def _refusal(folder: str, cause: str) -> InvalidSpec:
    return InvalidSpec(
        gettext_noop("The archive could not be put into {path} whole: {cause}."),
        remedy=gettext_noop("What came before is there. Correct the archive or the place, and copy it again."),
        path=folder,
        cause=cause,
    )
