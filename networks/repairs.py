"""How often the worker mends drift by itself: two programs that undo each other's rules must not fight for ever."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from networks.models import Host, Operation
from networks.settle import ACTOR

REPAIRS_PER_HOUR = 20


def may_repair(host: Host) -> bool:
    """Whether *host* may mend drift by itself now. It counts what it has done, so a restart of the worker forgets nothing."""
    since = timezone.now() - timedelta(hours=1)
    own = Operation.objects.filter(host=host, verb="host.repair", created_by=ACTOR, created_at__gt=since)
    return own.count() < REPAIRS_PER_HOUR


def is_paused(host: Host) -> bool:
    """Whether drift would be mended by itself if that had not been done too often already."""
    return bool(host.settings.get("auto_repair")) and not may_repair(host)
