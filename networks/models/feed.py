"""What open pages are told: numbered events, and the observations they point at."""

from __future__ import annotations

from django.db import connection, models

from networks.cnm.names import new_id

from .document import Document
from .host import Host


class _Counters(models.Manager["FeedCounter"]):
    def advance(self, count: int) -> int:
        """Take the next *count* numbers; the last of them. Asked in SQL: one statement of both databases, where the mapper has two."""
        table = self.model._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET last = last + %s WHERE id = 1 RETURNING last", [count])  # noqa: S608  # our own table's name
            row = cursor.fetchone()
        return int(row[0]) if row else self.create(pk=1, last=count).last


class FeedCounter(models.Model):
    """The single row that numbers events. It is written last in each transaction, so numbers commit in order."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    last = models.BigIntegerField(default=0)
    epoch = models.CharField(max_length=64, default=new_id)
    """Changes when a backup is restored: pages then take a new snapshot."""

    objects = _Counters()

    def __str__(self) -> str:
        return f"{self.epoch}:{self.last}"


class Event(models.Model):
    """One change of one object: ``put`` with its whole new representation, or ``delete``."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(auto_now_add=True)
    op = models.CharField(max_length=8)
    """``put`` or ``delete``."""
    kind = models.CharField(max_length=16)
    """``host``, ``network``, ``container``, ``operation``, ``drift``, ``firewall``, ``foreign``, ``image``,
    ``activity``."""
    object_id = models.CharField(max_length=64)
    data = Document(null=True)
    actor = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.number} {self.op} {self.kind} {self.object_id}"


class Observation(models.Model):
    """The last thing seen of one kind on one host, whole: ``rules``, ``world`` (the network), ``foreign``
    (:func:`networks.cnm.foreign.foreign`). A new look replaces it."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="observations")
    kind = models.CharField(max_length=16)
    generation = models.CharField(max_length=64, blank=True)
    """Equal generations mean equal content (counters aside)."""
    data = Document(default=dict)
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "kind"], name="one_observation_of_a_kind")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.host}"


class Moment(models.Model):
    """Who reached whom when somebody had that kept, to be compared with later."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="moments")
    at = models.DateTimeField(auto_now_add=True)
    by = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=120, blank=True)
    data = Document(default=dict)
    """As ``networks.reachability.matrix`` gives it."""

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.note or f"{self.at:%Y-%m-%d %H:%M}"


class Drift(models.Model):
    """A difference between desired and kernel state that nobody asked for. Kept after its end, as history."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="drifts")
    key = models.CharField(max_length=600)
    """The resource's key, joined by blanks."""
    kind = models.CharField(max_length=16)
    """``missing``, ``changed``, ``left over``, ``out of order``, ``duplicated``, ``shadowed``."""
    resource_kind = models.CharField(max_length=16)
    text = models.CharField(max_length=1000)
    difference = Document(default=dict, blank=True)
    owner = Document(default=dict)
    why = Document(default=dict)
    writer = models.CharField(max_length=100, blank=True)
    """The process that made the change, where the kernel tells."""
    detected_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-detected_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["host", "key", "kind"], condition=models.Q(resolved_at=None), name="one_open_drift_per_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"
