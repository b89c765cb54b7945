"""Wake-ups: what a Celery message may say, and how it is known to come from us."""

from __future__ import annotations

from typing import Any

from django.core import signing

from networks.wake import SALT

MAX_AGE_S = 120
"""An older message is of no use: the worker looks by itself more often than that."""


def read_token(token: object, host: str) -> dict[str, Any] | None:
    """What a message says, if we signed it for *host* a short while ago; else None.

    A message is only a hint to look at the operations table, so one that cannot be trusted is dropped without harm.
    """
    if not isinstance(token, str):
        return None
    try:
        value = signing.loads(token, salt=SALT, max_age=MAX_AGE_S)
    except signing.BadSignature:
        return None
    return value if isinstance(value, dict) and value.get("host") == host else None
