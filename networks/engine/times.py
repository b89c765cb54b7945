"""Moments in Docker's spelling. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time: what has not happened."""


def rfc3339(at: datetime | None) -> str:
    """A moment as Docker writes it; *at* None: :data:`NEVER`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if at else NEVER


def nanoseconds(at: datetime) -> int:
    """Since the epoch, without the rounding of a float."""
    whole = int(at.replace(microsecond=0).timestamp())
    return whole * 10**9 + at.microsecond * 1000


def ago(at: datetime, now: datetime) -> str:
    """How long ago in Docker's words: ``5 minutes``, ``About an hour`` (docker/go-units, ``HumanDuration``)."""
    seconds = max(0, int((now - at).total_seconds()))
    minutes, hours = seconds // 60, round(seconds / 3600)
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"
