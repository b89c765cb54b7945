"""What was: states of everything from which each later moment is made with the events since, and the rules that stood."""

from __future__ import annotations

from django.db import models

from .host import Host


class Checkpoint(models.Model):
    """What the topology shows, as it was after the event *number*."""

    number = models.BigIntegerField(primary_key=True)
    epoch = models.CharField(max_length=64)
    """Of the feed whose events follow it."""
    at = models.DateTimeField()
    data = models.BinaryField()
    """kind -> id -> representation, as compressed JSON."""

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"state after {self.number}"


class RulesVersion(models.Model):
    """The rules of a host from *at* on, until the next version."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="rules_versions")
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    generation = models.CharField(max_length=64)
    writer = models.CharField(max_length=100, blank=True)
    """The process that was seen to change them, where the kernel told."""
    size = models.PositiveIntegerField()
    """Bytes of *data*."""
    data = models.BinaryField()
    """A list of ``[flavour, family, table, chain, text, tag]`` in evaluation order, as compressed JSON."""

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"rules of {self.host} since {self.at:%Y-%m-%d %H:%M:%S}"
