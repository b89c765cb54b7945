"""Traffic as open pages show it: asked for while somebody looks, the latest sample of each host, and nothing kept.

Two kinds of keys in Redis, both of which end by themselves: one says that somebody looks, one a host holds its last sample. So a page
that is closed, a worker that dies and a Redis that is emptied leave nothing behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .wake import redis

EVERY_S = 1.0
"""How often a host is sampled while somebody looks."""
ASKED_S = 5
"""For how long one asking is good: pages ask again each time they read."""
FRESH_S = 4
"""A sample that is older is no longer shown: rather nothing than something stale."""
_ASKED = "cnm:traffic:asked"
_PORTS_ASKED = "cnm:traffic:asked:ports"

Sample = dict[str, Any]
"""``at`` (ISO 8601), ``every`` (seconds that it speaks of), ``links`` and ``ports``: rates a second as
``[bytes to, packets to, bytes from, packets from]`` by device of the host (*to*: what the host sends through it), and by
``protocol address port`` of what is translated to a container; what does not move is left out. ``ports`` is None where nobody
asked for them, or the kernel cannot count them."""


def ask(*, ports: bool) -> None:
    """Say that somebody looks; *ports*: at published ports too, for which hosts put a table into their kernel.

    Raises RedisError or OSError.
    """
    for key in (_ASKED, *((_PORTS_ASKED,) if ports else ())):
        redis().set(key, 1, ex=ASKED_S)


def is_asked() -> bool:
    """Whether somebody has looked lately. Raises RedisError or OSError."""
    return bool(redis().exists(_ASKED))


def ports_are_asked() -> bool:
    """Whether somebody has looked at published ports lately. Raises RedisError or OSError."""
    return bool(redis().exists(_PORTS_ASKED))


def publish(host: str, sample: Sample) -> None:
    """Put *sample* in the place of the last one. Raises RedisError or OSError."""
    redis().set(_of(host), json.dumps(sample, separators=(",", ":")), ex=FRESH_S)


def latest(hosts: Iterable[str]) -> dict[str, Sample]:
    """The last sample of each of *hosts* that has a fresh one. Raises RedisError or OSError."""
    names = list(hosts)
    found: Any = redis().mget([_of(name) for name in names]) if names else []
    return {name: json.loads(text) for name, text in zip(names, found, strict=True) if text}


def _of(host: str) -> str:
    return f"cnm:traffic:of:{host}"
