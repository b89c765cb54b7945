"""Celery's application. Messages are JSON, carry one signed token each and store no result: operation rows are the truth."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnmweb.settings")
# Django's checks load every page and view. The root processes need none of them; `make up` runs the checks when all is up.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("cnmweb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    # Our own processes look whether their connection is good before each piece of work; to open one for each takes a millisecond.
    CELERY_DB_REUSE_MAX=1 << 60,
)
