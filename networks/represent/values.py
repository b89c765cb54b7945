"""What all representations are made of: times, references, stored sentences."""

from __future__ import annotations

from datetime import datetime
from typing import Any

Json = dict[str, Any]
"""What the JSON renderers take as it is."""


def at(value: datetime | None) -> str | None:
    """A time as ISO 8601 with its offset; None stays what it is."""
    return value.isoformat() if value else None


def ref(row: Any) -> Json:
    """How other rows are named: by id and name."""
    return {"id": row.pk, "name": row.name}


def said(text: Json | None) -> Json | None:
    """A stored sentence, or nothing where nothing is said."""
    return text if text and text["template"] else None
