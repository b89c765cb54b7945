"""The three /etc files of containers, as they lie in the containers' folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from networks.cnm.resources import EtcFile, Key
from worker.kernel import files

NAMES = ("hosts", "hostname", "resolv.conf")
KEPT_WHEN_EDITED = frozenset({"resolv.conf"})
"""Files that a program in the container may edit for good (a VPN or DHCP client), as with Docker."""


def written_copy(path: Path) -> Path:
    """Where it is kept what was last asked of a file that may be edited by hand."""
    return path.with_name(f".{path.name}.written")


def was_edited(path: Path) -> bool:
    """Whether the file is one that may be edited by hand, and holds something else than we wrote."""
    if path.name not in KEPT_WHEN_EDITED:
        return False
    written = files.read(written_copy(path))
    return written is not None and files.read(path) not in {None, written}


def observe_file(folder: Path, container_id: str, name: str) -> EtcFile | None:
    """The file as a resource, or None where there is none.

    One that was edited by hand shows what was last asked of it, not what it holds. So the edit is no drift, nothing
    wants to write over it, and a change of what is asked is one step still, which takes note and leaves the file alone.
    """
    path = folder / container_id / name
    content = files.read(path)
    if content is None:
        return None
    if was_edited(path):
        content = files.read(written_copy(path)) or ""
    return EtcFile(container_id=container_id, name=name, content=content)


def observe_files(folder: Path, keys: Collection[Key] | None) -> Iterator[EtcFile]:
    """The files of *keys* that exist; None: of every container that has a folder."""
    wanted = [(key[1], key[2]) for key in keys] if keys is not None else _everything(folder)
    for container_id, name in wanted:
        found = observe_file(folder, container_id, name)
        if found is not None:
            yield found


def _everything(folder: Path) -> list[tuple[str, str]]:
    try:
        return [(container_id, name) for container_id in sorted(os.listdir(folder)) for name in NAMES]
    except FileNotFoundError:
        return []
