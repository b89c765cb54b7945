"""The tasks of the slow process."""

from __future__ import annotations

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from worker import slow_process
from worker.tokens import read_token


@shared_task(name="worker.tasks.wake_slow")
def wake(token: str) -> None:
    """Something waits in the slow queue."""
    if read_token(token, settings.HOST_NAME) is not None:
        slow_process.work()


@worker_ready.connect
def start(**_: object) -> None:
    """The process has its queue: take up what waits."""
    slow_process.start()
