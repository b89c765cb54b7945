"""Handlers of the Docker face that wait, carried out where nobody works."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from networks.models import Operation


def carried_out(steps: Any, work: Callable[[Operation], None] = lambda operation: None) -> Any:
    """What a handler returns. What an operation comes to is what *work* does with it."""
    if not isinstance(steps, Generator):
        return steps
    value = None
    while True:
        try:
            waiting = steps.send(value)
        except StopIteration as end:
            return end.value
        work(waiting.operation)
        waiting.operation.refresh_from_db()
        value = waiting.operation
