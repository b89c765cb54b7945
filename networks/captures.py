"""Where captures are kept, and what their worker writes of them into the database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from . import feed
from .cnm.text import gettext_noop
from .models import Capture, Host
from .models.choices import OperationState

ACTOR = "worker"
MOST_KEPT = 20
"""Captures of one host, whatever their age."""
MOST_AT_ONCE = 4
"""Under way at a time: each needs one of the slow worker's threads."""
PROGRESS = gettext_noop("{packets} packets, {size} bytes")


def file_of(capture: Capture) -> Path:
    """Its file; the name is made of the id."""
    return Path(settings.STATE_DIR) / "captures" / f"{capture.pk}.pcapng"


def file_name(capture: Capture) -> str:
    """What the file is called where somebody takes it along."""
    return "-".join(filter(None, (capture.subject_name, capture.network_name, capture.pk[:8]))) + ".pcapng"


def note(capture: Capture, **fields: object) -> None:
    """Write down how far it is, or how it ended, and tell open pages."""
    for name, value in fields.items():
        setattr(capture, name, value)
    if capture.state in {Capture.ENDED, Capture.FAILED} and capture.ended_at is None:
        capture.ended_at = timezone.now()
        fields["ended_at"] = capture.ended_at
    with feed.transaction(ACTOR):
        capture.save(update_fields=list(fields))
        if capture.operation is not None:
            capture.operation.step = str(PROGRESS.format(packets=capture.packets, size=capture.size))
            capture.operation.save(update_fields=["step"])
            feed.put("operation", capture.operation)


def end_lost(host: Host) -> None:
    """At the start of the slow worker: what a former one took ended with it. What is in the files stays readable."""
    begun = Q(state=Capture.RUNNING) | Q(state=Capture.WAITING, operation__state=OperationState.FAILED)
    for capture in Capture.objects.select_related("operation").filter(begun, host=host):
        note(capture, state=Capture.ENDED, reason="lost")


def too_old(host: Host) -> list[Capture]:
    """Those that are kept no longer: by age, and all but the newest few."""
    ended = list(
        Capture.objects.filter(host=host, state__in=(Capture.ENDED, Capture.FAILED))
    )  # one look: another ends meanwhile
    since = timezone.now() - timedelta(hours=settings.KEEP_CAPTURES_HOURS)
    return [capture for number, capture in enumerate(ended) if number >= MOST_KEPT or capture.created_at < since]
