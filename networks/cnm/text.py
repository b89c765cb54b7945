"""Sentences for people, kept as a template and its values until a face knows the reader's language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def gettext_noop(template: str) -> str:
    """Mark *template* for translation. The message extractor looks for this name; the value is unchanged."""
    return template


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence: a template with ``{named}`` places, and the values that fill them.

    ``str(text)`` is the English sentence. A face passes its own ``gettext`` to :meth:`translated`.
    """

    template: str
    params: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, template: str, /, **params: Any) -> Text:
        return cls(template, tuple(sorted([(name, str(value)) for name, value in params.items()])))

    def __str__(self) -> str:
        return self.template.format(**dict(self.params)) if self.params else self.template

    def __bool__(self) -> bool:
        return bool(self.template)

    def translated(self, gettext: Callable[[str], str]) -> str:
        template = gettext(self.template) if self.template else ""
        return template.format(**dict(self.params)) if self.params else template

    def to_json(self) -> dict[str, Any]:
        return {"template": self.template, "params": dict(self.params), "text": str(self)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Text:
        return cls.of(value["template"], **value.get("params", {}))


NOTHING = Text("")
