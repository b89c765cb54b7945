"""Packet captures: what was asked for, how far it is, and where its file is found."""

from __future__ import annotations

from django.db import models

from networks.cnm.names import new_id

from .document import Document
from .host import Host
from .operation import Operation


class Capture(models.Model):
    """One capture of an endpoint, or of a network's bridge. The file is root's; the group ``cnm`` may read it."""

    WAITING, RUNNING, ENDED, FAILED = "pending", "running", "done", "failed"

    id = models.CharField(primary_key=True, max_length=64, default=new_id, editable=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="captures")
    subject_kind = models.CharField(max_length=16)
    """``container`` or ``network``."""
    subject_id = models.CharField(max_length=64)
    subject_name = models.CharField(max_length=128)
    network_name = models.CharField(max_length=128, blank=True)
    """Of the endpoint of a container."""
    sandbox = models.CharField(max_length=64, blank=True)
    """The namespace that it is taken in; empty: the host's own."""
    interface = models.CharField(max_length=15)
    filter = Document(default=dict)
    """As ``networks.cnm.capture.PacketFilter`` gives it."""
    seconds = models.PositiveIntegerField()
    size_limit = models.PositiveBigIntegerField()
    snap_length = models.PositiveIntegerField()
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    operation = models.ForeignKey(Operation, on_delete=models.SET_NULL, null=True, blank=True, related_name="captures")
    stop = models.BooleanField(default=False)
    """Somebody wants it to end now."""

    # Observations
    state = models.CharField(max_length=8, default=WAITING)
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=16, blank=True)
    """Why it ended: ``time``, ``size``, ``stopped``, ``gone`` or ``lost``."""
    packets = models.PositiveBigIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0)
    dropped = models.PositiveBigIntegerField(default=0)
    """Packets that came faster than they could be written."""

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.interface} of {self.subject_name}: {self.state}"
