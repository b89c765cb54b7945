"""The tasks of the kernel process."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from worker import kernel_process
from worker.tokens import read_token


@shared_task(name="worker.tasks.wake_kernel")
def wake(token: str) -> None:
    """Something waits in the kernel queue."""
    if read_token(token, settings.HOST_NAME) is not None:
        kernel_process.drain()


@shared_task(name="worker.tasks.notice")
def notice(token: str) -> None:
    """The monitor has news, which wait in the box of notices, or the web process asks for a look at the host."""
    value = read_token(token, settings.HOST_NAME)
    if value is not None and (engine := kernel_process.engine()) is not None:
        engine.notice(value.get("what", ()))


@shared_task(name="worker.tasks.restart_due")
def restart_due(token: str) -> None:
    """The pause before a restart by policy is over."""
    value = read_token(token, settings.HOST_NAME)
    if value is not None and (engine := kernel_process.engine()) is not None:
        engine.restart_due(str(value["container"]), str(value["run"]))


@worker_ready.connect
def start(sender: object = None, **_: object) -> None:
    """The process has its queue: take up what waits."""
    consumer: Any = sender
    kernel_process.start(consumer.timer.call_after)
