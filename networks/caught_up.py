"""Reading what the worker saw, never older than the last write: its look follows an operation after a moment, and that is waited for."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.utils import timezone

from networks.models import Host, Observation, Operation
from networks.represent import is_alive
from networks.wake import send

PATIENCE_S = 3.0
"""How long a look is waited for. One that takes longer is told of by an event, as ever, and whoever reads is told that it is to come."""
BY_ITSELF_S = 0.15
"""How long after an operation's end the worker is given to look by itself; then it is asked to. A look at a network of hundreds of
sandboxes, which costs much, it takes seldom unless asked."""
ASK_S = 0.02
_LAST_FEW = 20
"""Of those that ended. Operations end nearly in the order of their numbers."""


def wait_for_look(host: Host) -> bool:
    """Wait until rules and network of *host* were seen after the end of its last operation; whether they were.

    Not inside a transaction: the worker could not write what it sees. Two small queries where there is nothing to wait for.
    """
    changed = _last_end(host)
    if changed is None or _is_seen(host, changed):
        return True
    if not is_alive(host):
        return False
    asked, until = False, time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if not asked and timezone.now() - changed > timedelta(seconds=BY_ITSELF_S):
            asked = send("worker.tasks.notice", host.name, "kernel", {"what": ["pages"]})
        time.sleep(ASK_S)
        if _is_seen(host, changed):
            return True
    return False


def is_current(host: Host, seen: datetime) -> bool:
    """Whether what was seen of *host* at *seen* is from after the end of its last operation."""
    changed = _last_end(host)
    return changed is None or seen >= changed


def _is_seen(host: Host, changed: datetime) -> bool:
    """Whether rules and network were seen after *changed*."""
    seen = list(Observation.objects.filter(host=host, kind__in=["rules", "world"]).values_list("at", flat=True))
    return not seen or min(seen) >= changed


def _last_end(host: Host) -> datetime | None:
    ended = Operation.objects.filter(host=host, queue="kernel", finished_at__isnull=False)
    last = ended.order_by("-number").values_list("finished_at", flat=True)[:_LAST_FEW]
    return max((at for at in last if at is not None), default=None)
