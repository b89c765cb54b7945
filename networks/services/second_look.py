"""Refusals that rest on what the host's worker last saw: before one is told, the worker looks again.

The worker reads the host's ports, addresses and routes every few seconds. What a person let go of a moment ago would be refused
until then; so the use case is tried a second time, with facts of now.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from django.db import connection

from networks.cnm.errors import CnmError, Conflict, Unsupported
from networks.models import Host
from networks.represent import is_alive
from networks.wake import send

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

LOOK_TIMEOUT_S = 3.0
"""How long a refusal waits for the worker's look; one that is at work for longer leaves it as it is."""
_POLL_S = 0.02


class SeenConflict(Conflict):
    """A collision with something of *host* that is not ours, as its worker last saw it."""

    def __init__(self, sentence: str, /, *, host: Host, **details: Any) -> None:
        super().__init__(sentence, **details)
        self.host = host

    @classmethod
    def of(cls, error: CnmError, host: Host) -> SeenConflict:
        """The refusal *error*, as one that rests on what was last seen of *host*."""
        return _same(cls("", host=host), error)


class SeenUnsupported(Unsupported):
    """Something that *host* could not do, as its worker last saw it: a plugin may have been started since."""

    def __init__(self, sentence: str, /, *, host: Host, **details: Any) -> None:
        super().__init__(sentence, **details)
        self.host = host

    @classmethod
    def of(cls, error: CnmError, host: Host) -> SeenUnsupported:
        """The refusal *error*, as one that rests on what was last seen of *host*."""
        return _same(cls("", host=host), error)


E = TypeVar("E", bound=CnmError)


def _same(made: E, error: CnmError) -> E:
    made.sentence, made.remedy, made.field, made.subject = error.sentence, error.remedy, error.field, error.subject
    return made


def with_second_look(use_case: Callable[P, R]) -> Callable[P, R]:
    """*use_case*, tried once more with fresh facts when it was refused by a :class:`SeenConflict` or a :class:`SeenUnsupported`.

    Inside a transaction nobody waits for the worker: the outermost use case, or its preview, looks again.
    """

    @functools.wraps(use_case)
    def tried(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return use_case(*args, **kwargs)
        except (SeenConflict, SeenUnsupported) as refused:
            if connection.in_atomic_block or not _look_again(refused.host):
                raise
        return use_case(*args, **kwargs)

    return tried


def _look_again(host: Host) -> bool:
    """Have the worker of *host* read its facts, and take them over; whether it did in time."""
    before = host.facts_at
    if not is_alive(host) or not send("worker.tasks.notice", host.name, "kernel", {"what": ["facts"]}):
        return False
    deadline = time.monotonic() + LOOK_TIMEOUT_S
    while time.monotonic() < deadline:
        time.sleep(_POLL_S)
        host.refresh_from_db(fields=["facts", "facts_at"])
        if host.facts_at != before:
            return True
    log.warning("the worker of %s did not look again in time", host.name)
    return False
