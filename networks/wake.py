"""Waking a worker: a signed hint, sent by Celery, that something waits in the operations table."""

from __future__ import annotations

import logging
from typing import Any

from django.core import signing

from .models import Host

log = logging.getLogger(__name__)

SALT = "cnm.wake"


def wake(host: Host, queue: str) -> None:
    """Tell a worker of *host* to look. A broker that is down is no error: the worker looks by itself now and then."""
    send(f"worker.tasks.wake_{queue}", host.name, queue, {})


def send(task: str, host_name: str, queue: str, value: dict[str, Any], *, countdown_s: float | None = None) -> bool:
    """Send one signed message; whether the broker took it."""
    from cnmweb.celery import app  # made late: the settings name the broker

    token = signing.dumps({"host": host_name, **value}, salt=SALT)
    try:
        app.send_task(
            task,
            args=[token],
            queue=f"{queue}.{host_name}",
            expires=(countdown_s or 0) + 60,
            retry=False,
            countdown=countdown_s,
            ignore_result=True,
        )
    except Exception as error:  # kombu lets through what its transports raise: classes of several libraries
        log.warning("no message could be sent to %s of %s: %s", queue, host_name, error)
        return False
    return True
