"""Values of a Compose file that may be spelled in several ways."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from networks.cnm.text import gettext_noop

from ..body import bad

_UNITS = {"": 1, "b": 1, "k": 2**10, "kb": 2**10, "m": 2**20, "mb": 2**20, "g": 2**30, "gb": 2**30}
_SIZE = re.compile(r"(\d{1,15})\s*([a-z]{0,2})\Z", re.ASCII)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d+)?)(us|ms|s|m|h)", re.ASCII)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def mapping(value: Any, path: str) -> dict[str, Any]:
    """A mapping, or nothing."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise bad(path, gettext_noop("Names and values are wanted here."), gettext_noop("Write name: value."))
    return {str(key): item for key, item in value.items()}


def listed(value: Any, path: str) -> list[Any]:
    """A list, one value alone, or nothing."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        raise bad(
            path,
            gettext_noop("A list is wanted here."),
            gettext_noop("Write each item on a line of its own, after a dash."),
        )
    return list(value) if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """A scalar as text, as Compose reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def texts(value: Any, path: str) -> list[str]:
    return [text(item) for item in listed(value, path)]


def words(value: Any, path: str) -> list[str]:
    """A command: a list, or one text with the quotes of a shell."""
    if not isinstance(value, str):
        return texts(value, path)
    try:
        return shlex.split(value)
    except ValueError:
        raise bad(path, gettext_noop("A quote is open in {text}."), gettext_noop("Close it."), text=value) from None


def pairs(value: Any, path: str) -> dict[str, str | None]:
    """``{A: b}`` or ``[A=b, C]``; None: no value is given."""
    if isinstance(value, list):
        items = [text(item).partition("=") for item in value]
        return {name: after if equals else None for name, equals, after in items}
    return {name: None if item is None else text(item) for name, item in mapping(value, path).items()}


def flag(value: Any) -> bool:
    return value is True or text(value).lower() in {"true", "yes", "on", "1"}


def size(value: Any, path: str) -> int:
    """``512m`` in bytes."""
    found = _SIZE.match(text(value).strip().lower())
    if found is None or found[2] not in _UNITS:
        raise bad(
            path, gettext_noop("{value} is not a size."), gettext_noop("Write a size such as 512m."), value=repr(value)
        )
    return int(found[1]) * _UNITS[found[2]]


def seconds(value: Any, path: str) -> int:
    """``1m30s`` in seconds, rounded up."""
    given = text(value).strip()
    parts = _DURATION.findall(given)
    if given.isdigit():
        return int(given)
    if not parts or "".join(number + unit for number, unit in parts) != given:
        raise bad(
            path, gettext_noop("{value} is not a time."), gettext_noop("Write a time such as 1m30s."), value=repr(value)
        )
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return int(total) + (total > int(total))


def number(value: Any, path: str) -> float:
    try:
        return float(text(value))
    except ValueError:
        raise bad(
            path,
            gettext_noop("{value} is not a number."),
            gettext_noop("Write a number such as 0.5."),
            value=repr(value),
        ) from None
