"""Leave for a new host to join."""

from __future__ import annotations

from django.db import models

from .host import Host


class JoinToken(models.Model):
    """One use, and an end. The token itself is shown once; only a hash is kept (256 random bits: there is nothing to guess)."""

    digest = models.CharField(max_length=64, unique=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    host = models.ForeignKey(Host, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    """Who used it."""

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"join token {self.pk}"
