"""The keys by which hosts encrypt overlay networks."""

from __future__ import annotations

from django.db import models

from .host import Host


class SecurityAssociation(models.Model):
    """One direction between two hosts, with a key of its own. ``networks.associations`` tells its life; its SPI follows from its id."""

    sender = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="+")
    receiver = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="+")
    sealed = models.CharField(max_length=200)
    """The key, encrypted (``networks.sealing``)."""
    fingerprint = models.CharField(max_length=16)
    made_at = models.DateTimeField(auto_now_add=True)

    # Observations
    held_at = models.DateTimeField(null=True, blank=True)
    """When the receiver was seen to hold it."""
    begun_at = models.DateTimeField(null=True, blank=True)
    """When the sender was about to write it into its kernel; from then on it is never written there again."""
    used_at = models.DateTimeField(null=True, blank=True)
    """When the sender was seen to send by it."""

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"association {self.pk}"
