"""The names of Podman's containers, by the network namespaces that it names after nothing: no daemon is there to be asked.

Each container has a supervisor of its own (``conmon(8)``), whose command line says the container's name and whose child is in the
namespace. Only ever looked at.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

NETNS = Path("/run/netns")
PROC = Path("/proc")
OF_PODMAN = re.compile(r"netns-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
"""How Podman and its libraries name namespaces (containers/common ``pkg/netns``)."""
OF_A_POD = "-infra"
"""The end of the name of the container that holds a pod's namespace for the others."""

Seen = dict[str, tuple[int, str]]


class PodmanObserver:
    """Names of containers by the name of their namespace, again and again: processes are looked through where one has no name yet."""

    def __init__(self, folder: Path = NETNS, proc: Path = PROC) -> None:
        self._folder, self._proc = folder, proc
        self._seen: Seen = {}
        """Namespace -> its inode and what was found there."""

    def __call__(self) -> dict[str, str]:
        inodes = dict(self._inodes())
        self._seen = {name: seen for name, seen in self._seen.items() if inodes.get(name) == seen[0]}
        unnamed = {inode: name for name, inode in inodes.items() if name not in self._seen}
        if unnamed:
            found: dict[str, list[str]] = {}
            for container, inode in self._containers():
                if inode in unnamed:
                    found.setdefault(unnamed[inode], []).append(container)
            self._seen |= {name: (inodes[name], _together(names)) for name, names in found.items()}
        return {name: said for name, (_inode, said) in self._seen.items()}

    def _inodes(self) -> Iterator[tuple[str, int]]:
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                if OF_PODMAN.match(name):
                    with contextlib.suppress(OSError):  # it went away while we looked
                        yield name, os.stat(self._folder / name).st_ino

    def _containers(self) -> Iterator[tuple[str, int]]:
        """Each supervised container's name, with the inode of the network namespace of its process."""
        for entry in os.listdir(self._proc):
            if not entry.isdigit():
                continue
            process = self._proc / entry
            with contextlib.suppress(OSError):
                if (process / "comm").read_text() != "conmon\n":
                    continue
                name = name_of((process / "cmdline").read_bytes())
                for child in (process / "task" / entry / "children").read_text().split():
                    if name:
                        yield name, os.stat(self._proc / child / "ns/net").st_ino


def name_of(command: bytes) -> str:
    """What conmon was told to call its container (``--name``, ``-n``); empty: nothing."""
    words = command.decode(errors="replace").split("\0")
    for word, following in pairwise(words):
        if word in {"-n", "--name"}:
            return following
        if word.startswith("--name="):
            return word.removeprefix("--name=")
    return ""


def _together(names: list[str]) -> str:
    """All that share a namespace, without the one that only holds it, if there are others."""
    told = sorted(name for name in set(names) if not name.endswith(OF_A_POD))
    return ", ".join(told) or names[0]
