"""What follows in the database when a host leaves: its rows go, others learn of it, and what spans hosts gets another keeper."""

from __future__ import annotations

from django.db.models import F

from . import feed, peers
from .models import Container, Host, Network, Operation
from .models.network import GLOBAL, LOCAL

VERB = "host.remove"


def heir_of(host: Host) -> Host:
    """Who keeps the books of what spans hosts when *host* is gone."""
    return Host.objects.exclude(pk=host.pk).earliest("pk")


def forget(host: Host, operation: Operation | None = None) -> None:
    """Delete all rows of *host*. Inside ``feed.transaction``.

    *operation*: the one by which it left. It goes to who keeps the books from now on, so that whoever waits for it sees its end.
    """
    heir = heir_of(host)
    peers.tell_others(host, peers.shared_on(host))
    _hand_over(host, heir)
    if operation is not None:
        Operation.objects.filter(pk=operation.pk).update(host=heir)
        operation.host = heir
    for kind, rows in (
        ("container", Container.objects.filter(host=host)),
        ("network", Network.objects.filter(host=host, scope=LOCAL)),
        ("image", host.images.all()),
        ("drift", host.drifts.all()),
    ):
        for pk in rows.values_list("pk", flat=True):
            feed.delete(kind, pk)
        rows.delete()
    feed.delete("foreign", host.name)
    feed.delete("host", host.name)
    Host.objects.filter(pk=host.pk).delete()  # not by the row in hand: whoever holds it may still ask for its number


def _hand_over(host: Host, heir: Host) -> None:
    for network in Network.objects.filter(host=host, scope=GLOBAL):
        Host.objects.filter(pk=heir.pk).update(activation_counter=F("activation_counter") + 1)
        heir.refresh_from_db(fields=["activation_counter"])
        network.host, network.activation = heir, heir.activation_counter
        network.save(update_fields=["host", "activation"])
        feed.put("network", network)
