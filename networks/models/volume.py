"""Folders that outlive the containers that use them."""

from __future__ import annotations

from django.db import models

from .document import Document
from .host import Host


class Volume(models.Model):
    """A named folder of a host's, below its state folder (``worker.runtime.volumes``). Containers name it as the source of a bind."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="volumes")
    name = models.CharField(max_length=128)
    labels = Document(default=dict, blank=True)
    removing = models.BooleanField(default=False)
    """Its folder is being deleted; the row goes after it."""
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["host", "name"], name="one_volume_name_per_host")]

    def __str__(self) -> str:
        return self.name
