"""Operations (the queue of truth) and the activity log."""

from __future__ import annotations

from django.db import connection, models

from networks.cnm.names import new_id

from .choices import OperationState
from .document import Document
from .host import Host


class _Operations(models.Manager["Operation"]):
    def next_number(self) -> int:
        """The number after the last one's. Inside ``feed.transaction`` nobody else can take it."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT coalesce(max(number), 0) + 1 FROM {self.model._meta.db_table}")  # noqa: S608  # our own table's name
            (number,) = cursor.fetchone()
        return int(number)


class Operation(models.Model):
    """One piece of work for a host's worker. Celery messages only wake the worker; this row says what to do.

    ``scope`` names what may change: ``{"networks": [ids], "containers": [ids]}``, or ``{"all": true}``. The worker claims rows
    in the order of ``number`` by a conditional update, so a lost or doubled message does nothing.
    """

    id = models.CharField(primary_key=True, max_length=64, default=new_id, editable=False)
    number = models.BigIntegerField(unique=True)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="operations")
    verb = models.CharField(max_length=32)
    """``network.create``, ``container.start``, ``host.reconcile``, ``image.pull``, …"""
    subject_kind = models.CharField(max_length=16, blank=True)
    subject_id = models.CharField(max_length=64, blank=True)
    subject_name = models.CharField(max_length=255, blank=True)
    scope = Document(default=dict)
    args = Document(default=dict, blank=True)
    queue = models.CharField(max_length=8, default="kernel")
    """``kernel`` (the single kernel process) or ``slow`` (pulls, waits, captures)."""
    created_by = models.CharField(max_length=150, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    # Observations
    state = models.CharField(max_length=16, choices=OperationState.choices, default=OperationState.PENDING)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    done_steps = models.PositiveIntegerField(default=0)
    total_steps = models.PositiveIntegerField(default=0)
    step = models.CharField(max_length=500, blank=True)
    """What is being done now, in words."""
    plan = Document(null=True, blank=True)
    """The plan that was applied; each step has ``state``: done, undone, failed or planned."""
    result = Document(null=True, blank=True)
    error = Document(null=True, blank=True)

    objects = _Operations()

    class Meta:
        ordering = ["-number"]
        indexes = [models.Index(fields=["host", "queue", "state", "number"], name="operations_to_claim")]

    def __str__(self) -> str:
        return f"{self.number} {self.verb} {self.subject_name}"

    @property
    def finished(self) -> bool:
        return self.state in {OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED}


def about(host: Host) -> models.Q:
    """What was done on *host*, and what is of no host in particular: signing in, tokens, people."""
    return models.Q(host__in=("", host.name))


class Activity(models.Model):
    """Who asked for what, when. One row for every use case that was committed, and for sign-ins."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    via = models.CharField(max_length=16, default="api")
    """``page``, ``api``, ``docker``, ``worker`` or ``shell``."""
    verb = models.CharField(max_length=32)
    subject_kind = models.CharField(max_length=16, blank=True)
    subject_id = models.CharField(max_length=64, blank=True)
    subject_name = models.CharField(max_length=255, blank=True)
    host = models.CharField(max_length=64, blank=True)
    """The name of the host that it was about; empty: of none in particular. It stays when the host goes."""
    request = Document(default=dict, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    operation = models.ForeignKey(Operation, on_delete=models.SET_NULL, null=True, blank=True, related_name="activity")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "activity"

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.subject_name}"
