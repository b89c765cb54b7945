"""Docker's ``filters`` parameter: ``{"label": ["a=b"]}`` or ``{"label": {"a=b": true}}``; values of one key are OR, keys are AND. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from .errors import EngineError
from .patterns import pattern

Filters = Mapping[str, tuple[str, ...]]

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?\Z")


def read(text: str, known: Collection[str]) -> Filters:
    """The filters in *text*, all of them among *known*. Raises EngineError 400, in the words of Docker 20.10."""
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        raise EngineError(400, "invalid character looking for beginning of value") from None
    if not isinstance(value, dict):
        raise EngineError(400, "invalid filter")
    result = {}
    for name, values in value.items():
        if name not in known:
            raise EngineError(400, f"Invalid filter '{name}'")
        if isinstance(values, dict):
            values = [item for item, wanted in values.items() if wanted]
        if not isinstance(values, list):
            raise EngineError(400, f"Invalid filter '{name}'")
        result[name] = tuple(map(str, values))
    return result


def matches_labels(wanted: tuple[str, ...], labels: Mapping[str, str]) -> bool:
    """``key`` or ``key=value``; of labels all have to be there, as in Docker."""
    for item in wanted:
        name, has_value, value = item.partition("=")
        if name not in labels or (has_value and labels[name] != value):
            return False
    return True


def lacks_labels(unwanted: tuple[str, ...], labels: Mapping[str, str]) -> bool:
    """``label!``: none of them is there."""
    return not any(matches_labels((item,), labels) for item in unwanted)


def matches_name(wanted: tuple[str, ...], *names: str) -> bool:
    """A part of a name, or a pattern. Raises EngineError 400 for one that is not supported."""
    return any(item in name or pattern(item).found(name) for item in wanted for name in names)


def flag(filters: Filters, name: str) -> bool | None:
    """A filter that is true or false; None: not asked for. Raises EngineError 400."""
    values = filters.get(name)
    if not values:
        return None
    if values[0].lower() in {"1", "true"}:
        return True
    if values[0].lower() in {"0", "false"}:
        return False
    raise EngineError(400, f"invalid filter '{name}={list(values)}'")


def instant(text: str, now: datetime) -> datetime:
    """A moment as clients give it: seconds since the epoch (with a fraction), RFC 3339, or a duration ago (``10m``). Raises EngineError
    400, also for one beyond the years that there are."""
    try:
        return _instant(text, now)
    except (ValueError, OverflowError):
        raise EngineError(400, f'failed to parse value as time or duration: "{text}"') from None


def _instant(text: str, now: datetime) -> datetime:
    with suppress(ValueError):
        return datetime.fromtimestamp(float(text), UTC)
    found = _DURATION.match(text)
    if found and any(found.groups()):
        hours, minutes, seconds = (float(part or 0) for part in found.groups())
        return now - timedelta(hours=hours, minutes=minutes, seconds=seconds)
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)
