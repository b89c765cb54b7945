"""Bind mounts of host folders and files: checked again at the moment of mounting, on what is mounted and not on its name.

A name can mean one thing when it is checked and another when it is mounted: whoever may write below a folder can put a symbolic
link there. So a source is opened once, with no link on the way, judged, and from then on only the open file is used: its mount
is cloned and put into the container's own folder, and the runtime is told that place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from networks.cnm.desired import ProcessSpec
from networks.cnm.errors import CnmError, Forbidden, InvalidSpec, KernelRefused
from networks.cnm.text import gettext_noop

from .bundle import parse_bind
from .folders import Folders, make_folder
from .kernel_calls import clone_mount, is_mount_point, open_without_links, put_mount, unmount
from .volumes import fill_all, opened_volume


def mount_binds(
    folders: Folders, container_id: str, spec: ProcessSpec, roots: Sequence[str], rootfs: Path
) -> tuple[str, ...]:
    """Put the sources of a container's bind mounts into its folder; its binds with these places as sources. Volumes that nobody has filled
    by now take over what *rootfs* has at their places.

    *roots* are the folders below which anybody may mount. Raises a CnmError, which leaves no mount behind.
    """
    unmount_binds(folders, container_id)
    fill_all(folders, container_id, spec.binds, rootfs)
    places = []
    try:
        for number, bind in enumerate(spec.binds):
            source, destination, access = parse_bind(bind)
            place = folders.binds(container_id) / str(number)
            _mount(folders, source, place, roots if not spec.binds_anywhere else ("/",))
            places.append(f"{place}:{destination}:{access}")
    except BaseException:
        unmount_binds(folders, container_id)
        raise
    return tuple(places)


def unmount_binds(folders: Folders, container_id: str) -> None:
    """Take the places away; what is mounted in a running container stays there."""
    folder = folders.binds(container_id)
    with contextlib.suppress(FileNotFoundError):
        for place in folder.iterdir():
            if is_mount_point(place):
                unmount(place)
            place.rmdir() if place.is_dir() else place.unlink()


def is_below(path: str, roots: Iterable[str]) -> bool:
    """Whether *path* is one of *roots* or below one, by name: sound only for a path on which no link stands."""
    names = [posixpath.normpath(root).rstrip("/") for root in roots]
    return any(path == (root or "/") or path.startswith(f"{root}/") for root in names)


@contextlib.contextmanager
def opened_source(folders: Folders, source: str, roots: Sequence[str]) -> Iterator[int]:
    """The source of a bind mount, or the volume that it names, held open (O_PATH): what was judged is what is mounted.

    Raises Forbidden, InvalidSpec, KernelRefused.
    """
    if not source.startswith("/"):
        with opened_volume(folders, source) as opened:
            yield opened
        return
    path = "/" + posixpath.normpath(source).lstrip("/")
    if not is_below(path, roots):
        raise Forbidden(
            gettext_noop("The host folder {source} may not be mounted into a container."),
            remedy=gettext_noop(
                "Folders below {allowed} may (CNM_BIND_ALLOWLIST); a container of an admin may have any."
            ),
            field="binds",
            source=path,
            allowed=", ".join(roots) or "(none)",
        )
    try:
        with open_without_links(path) as opened:
            yield opened
    except OSError as error:
        raise _in_words(error, path) from error


def _mount(folders: Folders, source: str, place: Path, roots: Sequence[str]) -> None:
    with opened_source(folders, source, roots) as opened:
        _make_place(place, stat.S_ISDIR(os.fstat(opened).st_mode))
        with clone_mount(opened) as tree:
            put_mount(tree, place)


def _make_place(place: Path, folder: bool) -> None:
    make_folder(place.parent, 0o700)
    if folder:
        make_folder(place, 0o700)
    else:
        place.touch(mode=0o600)


def _in_words(error: OSError, path: str) -> CnmError:
    if error.errno == errno.ELOOP:
        return Forbidden(
            gettext_noop("The path {path} leads through a symbolic link, which is not followed: it may lead anywhere."),
            remedy=gettext_noop("Give the path that it stands for, {real}, where that may be mounted."),
            field="binds",
            path=path,
            real=os.path.realpath(path),
        )
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return InvalidSpec(
            gettext_noop("{path} does not exist on the host, so it cannot be mounted into the container."),
            remedy=gettext_noop("Make it first, or correct the path."),
            field="binds",
            path=path,
        )
    return KernelRefused(
        gettext_noop("{path} cannot be mounted into the container: {cause}."),
        remedy=gettext_noop("Give another folder."),
        field="binds",
        path=path,
        cause=error.strerror,
        facts={"errno": error.errno},
    )
