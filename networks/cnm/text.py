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
    params: tuple[tuple[str, str | Text], ...] = ()
    """Values as they are; one that is a sentence or a word of ours is a :class:`Text`, and translated with the whole."""

    @classmethod
    def of(cls, template: str, /, **params: Any) -> Text:
        kept = [(name, value if isinstance(value, Text) else str(value)) for name, value in params.items()]
        return cls(template, tuple(sorted(kept, key=lambda param: param[0])))

    def __str__(self) -> str:
        return self.template.format(**dict(self.params)) if self.params else self.template

    def __bool__(self) -> bool:
        return bool(self.template)

    def translated(self, gettext: Callable[[str], str]) -> str:
        template = gettext(self.template) if self.template else ""
        if not self.params:
            return template
        values = {name: value.translated(gettext) if isinstance(value, Text) else value for name, value in self.params}
        return template.format(**values)

    def to_json(self) -> dict[str, Any]:
        params = {name: value.to_json() if isinstance(value, Text) else value for name, value in self.params}
        return {"template": self.template, "params": params, "text": str(self)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Text:
        params = value.get("params", {})
        return cls.of(
            value["template"],
            **{name: cls.from_json(param) if isinstance(param, dict) else param for name, param in params.items()},
        )


NOTHING = Text("")
