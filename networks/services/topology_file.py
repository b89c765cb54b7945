"""A file of the desired state as text: read with the line of what is refused, and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from networks.cnm.errors import CnmError

from .compose import Note, convert
from .spec_topology import Declaration, read_topology, to_document
from .yaml_text import Document, read_yaml, write_yaml


def read_file(text: str) -> tuple[Declaration, Document]:
    """What the YAML *text* declares, and where it says what. Raises :class:`InvalidSpec` naming path and line."""
    document = read_yaml(text)
    with lines_told(document):
        return read_topology(document.value), document


def write_file(declaration: Declaration) -> str:
    """*declaration* as YAML."""
    return write_yaml(to_document(declaration))


@contextmanager
def lines_told(document: Document) -> Iterator[None]:
    """A refusal within tells the line (``facts["line"]``) of the path in *document* that it is about."""
    try:
        yield
    except CnmError as error:
        line = document.line_of(error.field) if error.field else 0
        if line and "line" not in error.facts:
            error.facts = error.facts | {"line": line}
        raise


@dataclass(frozen=True, slots=True)
class Imported:
    """A Compose file as a file of the desired state."""

    file: str
    notes: tuple[Note, ...]

    def to_json(self) -> dict[str, Any]:
        return {"file": self.file, "notes": [note.to_json() for note in self.notes]}


def import_compose(text: str, variables: Mapping[str, str]) -> Imported:
    """The Compose file *text* with *variables*. Raises :class:`InvalidSpec` naming path and line in it."""
    document = read_yaml(text)
    with lines_told(document):
        found = convert(document.value, variables)
    return Imported(write_file(read_topology(found.document)), found.notes)
