"""Root filesystems that containers start from."""

from __future__ import annotations

from django.db import models

from .document import Document
from .host import Host


class Image(models.Model):
    """An image on a host. ``host`` (a copy-on-write view of the host's own programs) is always there."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="images")
    name = models.CharField(max_length=255)
    """``repository:tag``"""
    kind = models.CharField(max_length=8, default="oci")
    """``host``, ``tar`` or ``oci``."""
    source = models.CharField(max_length=500, blank=True)
    """Where it is fetched from, in skopeo's spelling (``docker://…``, ``oci:…``, ``oci-archive:…``) or a path of a tar archive."""
    wanted = models.BooleanField(default=True)
    """False: to be removed."""

    # Observations
    status = models.CharField(max_length=16, default="pending")
    """``pending``, ``ready``, ``failed``, ``removing``"""
    digest = models.CharField(max_length=80, blank=True)
    size = models.BigIntegerField(default=0)
    config = Document(default=dict, blank=True)
    """The OCI image configuration: Env, Cmd, Entrypoint, ExposedPorts, User, WorkingDir, …"""
    error = Document(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["host", "name"], name="one_image_name_per_host")]

    def __str__(self) -> str:
        return self.name
