"""Ledgers: what was there before us, so that it can be given back.

A ledger lies in the run folder, which a reboot empties together with the kernel's state. An entry is written before the
kernel is changed, so a worker that dies in between forgets nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Ledger:
    """A small mapping of text to JSON values, kept in one file. One process writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.entries().items())

    def entries(self) -> dict[str, Any]:
        """All entries. A file that cannot be read as JSON counts as empty: it was never written by us."""
        try:
            found = json.loads(self.path.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def get(self, key: str) -> Any:
        """The entry *key*, or None."""
        return self.entries().get(key)

    def put(self, key: str, value: Any) -> None:
        entries = self.entries()
        if entries.get(key) != value or key not in entries:
            self._write({**entries, key: value})

    def drop(self, key: str) -> Any:
        """Take the entry *key* out and give it, or None."""
        entries = self.entries()
        value = entries.pop(key, None)
        if value is not None:
            self._write(entries)
        return value

    def _write(self, entries: dict[str, Any]) -> None:
        if not entries:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_text(json.dumps(entries, indent=1, sort_keys=True))
        os.replace(beside, self.path)
