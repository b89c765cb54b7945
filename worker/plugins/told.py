"""The ledger of what plugins were told: one small file each, below the state folder, for a plugin may outlive a reboot.

A file is written *before* the plugin is told, as something that is to be taken back; when the plugin has answered it says so, with the
answer. So a worker that dies in between forgets nothing: whatever is not known to be told is owed, which is to say that the plugin is
told to forget it before it is told anew, or when it answers again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from networks.cnm.plugin_resources import TOLD
from networks.cnm.plugin_resources import Told as Resource
from networks.cnm.resources import Key


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a plugin was told, or was about to be."""

    resource: Resource
    answer: dict[str, Any] | None = None
    """None: it is not known whether the plugin heard, and so it is owed its end."""
    instance: str = ""
    """Which start of the plugin was told, as far as its file says (``Address.identity``)."""
    undo: dict[str, Any] = field(default_factory=dict)
    """What taking it back needs, where that is not in the resource: a pool's number at the plugin, an address."""

    @property
    def owed(self) -> bool:
        return self.answer is None


class Ledger:
    """All entries, in memory and in their folder. One process writes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: dict[Key, Entry] | None = None

    def entries(self) -> dict[Key, Entry]:
        """Every entry by its resource's key. A file that cannot be read was never whole, and says nothing."""
        if self._entries is None:
            self._entries = {entry.resource.key: entry for entry in self._read()}
        return self._entries

    def get(self, key: Key) -> Entry | None:
        return self.entries().get(key)

    def put(self, entry: Entry) -> None:
        """Keep *entry*: on the disk first."""
        resource = entry.resource
        text = json.dumps(
            {
                "kind": resource.kind,
                "resource": resource.to_told(),
                "answer": entry.answer,
                "instance": entry.instance,
                "undo": entry.undo,
            }
        )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(resource.key)
        beside = path.with_suffix(".new")
        beside.write_text(text)
        os.replace(beside, path)
        self.entries()[resource.key] = entry

    def drop(self, key: Key) -> None:
        """Forget the entry *key*; one that is not there is no error."""
        self._path(key).unlink(missing_ok=True)
        self.entries().pop(key, None)

    def owed(self) -> list[Entry]:
        """What is to be taken back, in the order in which that is done."""
        order = list(TOLD)
        found = [entry for entry in self.entries().values() if entry.owed]
        return sorted(found, key=lambda entry: order.index(entry.resource.kind), reverse=True)

    def by_plugin(self) -> Counter[str]:
        """How much each plugin is owed; one that holds something for us is named in any case."""
        count: Counter[str] = Counter()
        for entry in self.entries().values():
            count[entry.resource.plugin] += entry.owed
        return count

    def _path(self, key: Key) -> Path:
        return self._folder / f"{key[0]}-{hashlib.sha256(' '.join(key).encode()).hexdigest()[:24]}.json"

    def _read(self) -> Iterator[Entry]:
        for path in sorted(self._folder.glob("*.json")):
            try:
                value = json.loads(path.read_bytes())
                resource = TOLD[value["kind"]].from_told(value["resource"])
                yield Entry(resource, value["answer"], value["instance"], value["undo"])
            except (OSError, ValueError, LookupError, TypeError):
                continue
