"""JSON as both databases can keep it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import models


class Document(models.JSONField):
    """A JSON value. What a program printed, or a container wrote into a file, may hold what PostgreSQL keeps in no text: NUL, and halves
    of surrogate pairs. U+FFFD stands in their place, on every database."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "encoder": _Encoder})

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """To migrations it is Django's own: the column is the same."""
        name, _, args, options = super().deconstruct()
        options.pop("encoder", None)
        return name, "django.db.models.JSONField", args, options


class _Encoder(json.JSONEncoder):
    def encode(self, value: Any) -> str:
        text = super().encode(value)
        if "\\u0000" in text or "\\ud" in text:  # rarely: a look at the text costs less than one at each value
            text = super().encode(_storable(value))
        return text


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return whole.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
