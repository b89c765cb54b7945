"""Commands in containers that people are, or were, connected to."""

from __future__ import annotations

from django.db import models

from networks.cnm.names import new_id

from .container import Container
from .document import Document


class ExecSession(models.Model):
    """One command whose streams the host's sessions process holds: a terminal in the browser.

    A service makes the row; that process starts the command when somebody first connects, and writes the rest.
    """

    PENDING, RUNNING, ENDED = "pending", "running", "ended"

    id = models.CharField(primary_key=True, max_length=64, default=new_id, editable=False)
    container = models.ForeignKey(Container, on_delete=models.CASCADE, related_name="exec_sessions")
    command = Document(default=list)
    user = models.CharField(max_length=64, blank=True)
    """As whom inside the container; empty: as its own process."""
    working_dir = models.CharField(max_length=512, blank=True)
    tty = models.BooleanField(default=True)
    env = Document(default=dict, blank=True)
    """Variables beside those of the container's own process."""
    open_stdin = models.BooleanField(default=True)
    """Whether somebody types; else its input has ended before it begins."""
    created_by = models.CharField(max_length=150)
    via = models.CharField(max_length=16, default="page")
    created_at = models.DateTimeField(auto_now_add=True)

    # Observations
    state = models.CharField(max_length=8, default=PENDING)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    reason = models.CharField(max_length=16, blank=True)
    """Why it ended: ``exited``, ``closed``, ``idle``, ``left``, ``container``, ``lost``, ``refused`` or ``unused``."""
    error = Document(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "created_by"], name="exec_sessions_open")]

    def __str__(self) -> str:
        return f"{self.created_by} in {self.container_id[:12]}: {self.state}"
