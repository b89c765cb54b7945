"""The three /etc files of containers, as they lie in the containers' folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from networks.cnm.resources import EtcFile, Key
from worker.kernel import files

NAMES = ("hosts", "hostname", "resolv.conf")
KEPT_WHEN_EDITED = frozenset({"resolv.conf"})
"""Files that a program in the container may edit until its next start (a VPN or DHCP client), as with Docker."""


class Written(NamedTuple):
    """What was last asked of a file that may be edited by hand, and for which start of its container."""

    run: str
    content: str

    def dump(self) -> str:
        return f"{self.run}\n{self.content}"


def written_copy(path: Path) -> Path:
    """Where it is kept what was last asked of a file that may be edited by hand."""
    return path.with_name(f".{path.name}.written")


def read_written(path: Path) -> Written | None:
    """What was last asked of *path*; None for a file that is not to be edited, or was never written."""
    if path.name not in KEPT_WHEN_EDITED:
        return None
    text = files.read(written_copy(path))
    return None if text is None else Written(*text.partition("\n")[::2])


def was_edited(path: Path) -> bool:
    """Whether the file is one that may be edited by hand, and holds something else than we wrote."""
    written = read_written(path)
    return written is not None and files.read(path) not in {None, written.content}


def observe_file(folder: Path, container_id: str, name: str) -> EtcFile | None:
    """The file as a resource, or None where there is none.

    One that was edited by hand shows what was last asked of it, not what it holds. So the edit is no drift, nothing
    wants to write over it, and a change of what is asked is one step still, which takes note and leaves the file alone.
    """
    path = folder / container_id / name
    content = files.read(path)
    if content is None:
        return None
    run, content = read_written(path) or Written("", content)
    return EtcFile(container_id=container_id, name=name, content=content, run=run)


def observe_files(folder: Path, keys: Collection[Key] | None) -> Iterator[EtcFile]:
    """The files of *keys* that exist; None: of every container that has a folder."""
    wanted = [(key[1], key[2]) for key in keys] if keys is not None else _everything(folder)
    for container_id, name in wanted:
        found = observe_file(folder, container_id, name)
        if found is not None:
            yield found


def seen_files(folder: Path) -> dict[str, dict[str, str]]:
    """What every file really holds, edited or not: container id -> file name -> text."""
    found: dict[str, dict[str, str]] = {}
    for container_id, name in _everything(folder):
        content = files.read(folder / container_id / name)
        if content is not None:
            found.setdefault(container_id, {})[name] = content
    return found


def _everything(folder: Path) -> list[tuple[str, str]]:
    try:
        return [(container_id, name) for container_id in sorted(os.listdir(folder)) for name in NAMES]
    except FileNotFoundError:
        return []
