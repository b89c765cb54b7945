"""What could not be taken over of a Compose file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from networks.cnm.text import Text, gettext_noop


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that is otherwise than the file asks."""

    path: str
    """Where it stands in the Compose file: ``services.web.healthcheck``."""
    sentence: Text

    def to_json(self) -> dict[str, str]:
        return {"path": self.path, "text": str(self.sentence)}


class Notes:
    """Gathers them, in the order of the file."""

    def __init__(self) -> None:
        self._found: list[Note] = []

    def add(self, path: str, sentence: str, **params: Any) -> None:
        note = Note(path, Text.of(sentence, **params))
        if note not in self._found:
            self._found.append(note)

    def left_out(self, path: str) -> None:
        """The key at *path* has no counterpart."""
        self.add(path, gettext_noop("{key} is not taken over."), key=path.rpartition(".")[2])

    def all(self) -> tuple[Note, ...]:
        return tuple(self._found)
