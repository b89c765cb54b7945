"""The short way to the kernel process: whoever asks something of it rings, and it looks into the operations table at once.

A step of Celery's consumer, which begins anew whenever the connection to the broker does: it listens to a channel of Redis in the
loop in which the process lives, so a ring is answered between two pieces of work and never beside one. A ring carries nothing, and so
needs no signature. While nobody listens here, those who would ring send a message of Celery instead (:mod:`networks.wake`).
"""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from django.conf import settings
from redis.client import PubSub
from redis.exceptions import RedisError

from networks.wake import doorbell, redis

from . import kernel_process

log = logging.getLogger(__name__)

RETRY_S = 1.0
"""How long until it listens again, when the connection was cut or could not be made."""


class Doorbell(bootsteps.StartStopStep):
    """Listens while the consumer runs."""

    requires = ("celery.worker.consumer:Tasks",)  # type: ignore[assignment]

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)  # type: ignore[no-untyped-call]  # Celery has no types
        self._ear: PubSub | None = None
        self._fd = -1

    def start(self, consumer: Any) -> None:
        ear = redis().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        try:
            ear.subscribe(doorbell(settings.HOST_NAME, "kernel"))
        except (OSError, RedisError) as error:
            self._again(consumer, error)
            return
        self._ear, self._fd = (
            ear,
            ear.connection._sock.fileno(),
        )  # it has no other name; Celery's own transport looks there too
        consumer.hub.add_reader(self._fd, self._answer, consumer)

    def stop(self, consumer: Any) -> None:
        ear, self._ear = self._ear, None
        if ear is not None:
            consumer.hub.remove_reader(self._fd)
            ear.close()

    terminate = stop

    def _answer(self, consumer: Any) -> None:
        rung = False
        try:
            while self._ear is not None and self._ear.get_message() is not None:
                rung = True  # however often: one look finds everything
        except (OSError, RedisError) as error:
            self.stop(consumer)
            self._again(consumer, error)
            rung = True  # who rang meanwhile believes to have been heard
        if rung:
            _look()

    def _again(self, consumer: Any, error: Exception) -> None:
        log.warning("nobody can ring: %s", error)
        consumer.timer.call_after(RETRY_S, self._retry, (consumer,))

    def _retry(self, consumer: Any) -> None:
        if self._ear is None:
            self.start(consumer)


def _look() -> None:
    try:
        kernel_process.drain()
    except (
        Exception
    ):  # what leaves here would end the loop; a task's end in Celery's log, too, and the clock comes again
        log.exception("what waits could not be carried out")
