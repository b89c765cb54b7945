"""Celery's tasks. Thin: a message is a signed hint to look at the operations table, and nothing else."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from . import process
from .tokens import read_token

log = logging.getLogger(__name__)


@shared_task(name="worker.tasks.wake_kernel")
def wake_kernel(token: str) -> None:
    """Something waits in the kernel queue."""
    if read_token(token, settings.HOST_NAME) is not None and (engine := process.engine()) is not None:
        engine.drain()


@shared_task(name="worker.tasks.notice")
def notice(token: str) -> None:
    """The monitor has news, which wait in the box of notices, or the web process asks for a look at the host."""
    value = read_token(token, settings.HOST_NAME)
    if value is not None and (engine := process.engine()) is not None:
        engine.notice(value.get("what", ()))


@shared_task(name="worker.tasks.restart_due")
def restart_due(token: str) -> None:
    """The pause before a restart by policy is over."""
    value = read_token(token, settings.HOST_NAME)
    if value is not None and (engine := process.engine()) is not None:
        engine.restart_due(str(value["container"]), str(value["run"]))


@shared_task(name="worker.tasks.wake_slow")
def wake_slow(token: str) -> None:
    """Something waits in the slow queue."""
    if read_token(token, settings.HOST_NAME) is not None:
        process.work_slowly()


@worker_ready.connect
def start(sender: object = None, **_: object) -> None:
    """The process has its queue: take up what waits."""
    consumer: Any = sender
    queues = {queue.name for queue in consumer.task_consumer.queues}
    if f"kernel.{settings.HOST_NAME}" in queues:
        process.start_kernel(consumer.timer.call_after)
    if f"slow.{settings.HOST_NAME}" in queues:
        process.start_slow()
