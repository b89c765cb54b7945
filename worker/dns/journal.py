"""What is served, on disk: an opener that was killed goes on where it was, without the worker."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COMPACT_FACTOR = 4
LEAST_BYTES = 1 << 20
"""A journal up to here is never written anew."""


class Journal:
    """Changes, one JSON object a line, in a folder that is gone after a reboot, as the sandboxes are. Root's alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._size = 0
        self._base = 0

    def read(self) -> Iterator[dict[str, Any]]:
        """What was written; a last line that was cut short is left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            with contextlib.suppress(ValueError):
                value = json.loads(line)
                if isinstance(value, dict):
                    yield value

    def rewrite(self, state: dict[str, Any]) -> None:
        """Start anew with *state* as the one line."""
        beside = self._path.with_suffix(".new")
        content = _line(state)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(descriptor, content)
        os.rename(beside, self._path)
        if self._file is not None:
            os.close(self._file)
        self._file, self._size, self._base = descriptor, len(content), len(content)

    def append(self, change: dict[str, Any]) -> None:
        assert self._file is not None  # noqa: S101  # rewritten at the start
        content = _line(change)
        os.write(self._file, content)
        self._size += len(content)

    @property
    def is_long(self) -> bool:
        """Whether most of it has been overtaken."""
        return self._size > max(LEAST_BYTES, COMPACT_FACTOR * self._base)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
