"""Hints between processes: to a worker that something waits in the operations table, and to who waits for an operation that it has
ended. A hint that is lost costs time and nothing else: the table says what is so.

A worker that listens is rung (``worker.doorbell``): Redis says whether anybody heard. Only where nobody did, a message of Celery (signed)
waits in the worker's queue; to compose, send and take one costs three milliseconds, and a ring a third of one.
"""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import Any

from django.conf import settings
from django.core import signing
from redis import Redis
from redis.exceptions import RedisError

from .models import Host

log = logging.getLogger(__name__)

SALT = "cnm.wake"
_KEPT_S = 60
_PAUSE_S = 0.015


def wake(host: Host, queue: str) -> None:
    """Tell a worker of *host* to look. A broker that is down is no error: the worker looks by itself now and then."""
    try:
        heard = redis().publish(doorbell(host.name, queue), b"")
    except (OSError, RedisError) as error:
        log.warning("nobody could ring the %s worker of %s: %s", queue, host.name, error)
        return
    if not heard:
        send(f"worker.tasks.wake_{queue}", host.name, queue, {})


def doorbell(host_name: str, queue: str) -> str:
    """The channel of Redis on which a worker is rung."""
    return f"cnm:doorbell:{queue}.{host_name}"


def tell_end(operation_id: str) -> None:
    """Tell whoever waits for an operation that it has ended."""
    try:
        with redis().pipeline(transaction=False) as pipe:
            pipe.rpush(_ended(operation_id), 1)
            pipe.expire(_ended(operation_id), _KEPT_S)
            pipe.execute()
    except (OSError, RedisError) as error:
        log.warning("nobody could be told that operation %s ended: %s", operation_id, error)


def await_end(operation_id: str, timeout_s: float) -> None:
    """Return when :func:`tell_end` spoke of the operation, or after *timeout_s* seconds (less than ``REDIS_PATIENCE_S``); sooner
    when there is nobody to tell."""
    try:
        redis().blpop([_ended(operation_id)], timeout=timeout_s)
    except (OSError, RedisError):
        time.sleep(min(timeout_s, _PAUSE_S))


def _ended(operation_id: str) -> str:
    return f"cnm:ended:{operation_id}"


@cache
def redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL, socket_timeout=settings.REDIS_PATIENCE_S)


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
