"""How much containers wrote on top of their images, as Docker counts it: the sizes of files, each file once, folders for nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from worker.runtime.folders import CONTAINER_ID, Folders


def measure(folders: Folders, container_id: str = "") -> dict[str, int]:
    """Container -> bytes; of *container_id* alone where it is given. What has written nothing has no entry."""
    try:
        names = [container_id] if container_id else os.listdir(folders.containers)
    except FileNotFoundError:
        return {}
    sizes = {name: written(folders.upper(name)) for name in names if CONTAINER_ID.match(name)}
    return {name: size for name, size in sizes.items() if size}


def written(folder: Path) -> int:
    """Bytes of the files below *folder*, which may change meanwhile."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for found in _files(folder):
        if found.st_nlink > 1:
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
        total += found.st_size
    return total


def _files(folder: Path) -> Iterator[os.stat_result]:
    left = [os.fspath(folder)]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    else:
                        yield entry.stat(follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):  # it was deleted meanwhile
            continue
