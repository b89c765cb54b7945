"""A worker process of this host: ``python -m worker kernel`` or ``python -m worker slow``.

It is a Celery worker as Celery's own command line would make it, without that command line's modules (an interactive shell is among
them), and with the garbage collector at rest while everything is loaded. Both together are a third of the time that a start takes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from cnmweb.loading import loading

POOLS: Mapping[str, Mapping[str, Any]] = {
    "kernel": {"pool_cls": "solo"},  # one thread, for all that changes the kernel
    "slow": {"pool_cls": "threads", "concurrency": 8},
}
LONELY = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}
"""No worker needs to know of another: the operations table says what is to be done."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worker", description="Run a worker process of this host.")
    parser.add_argument("kind", choices=POOLS)
    parser.add_argument("--app", default="cnmweb.celery", help="the module with the Celery application")
    parser.add_argument("--log-level", default="WARNING")
    asked = parser.parse_args()

    os.umask(0o022)  # files of images and containers are as their archives say, whatever root's habit is
    with loading():
        worker = _worker(importlib.import_module(asked.app).app, asked.kind, asked.log_level)
    worker.start()
    return int(worker.exitcode or 0)


def _worker(app: Any, kind: str, log_level: str) -> Any:
    from django.conf import settings  # late: the application says which settings

    host = settings.HOST_NAME
    app.conf.imports = (f"worker.tasks.{kind}",)
    if kind == "kernel":
        app.steps["consumer"].add("worker.doorbell:Doorbell")
    return app.Worker(hostname=f"{kind}@{host}", queues=[f"{kind}.{host}"], loglevel=log_level, **POOLS[kind], **LONELY)


if __name__ == "__main__":
    sys.exit(main())
