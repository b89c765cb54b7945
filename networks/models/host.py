"""The hosts on which workers apply changes."""

from __future__ import annotations

from django.db import models

from .document import Document


class Host(models.Model):
    """A Linux machine (or network namespace) with a worker."""

    name = models.CharField(max_length=64, unique=True)
    settings = Document(default=dict)
    """``networks.cnm.desired.HostSettings`` as JSON; written at start from the environment."""
    activation_counter = models.BigIntegerField(default=0)
    """The last activation number given on this host; see ``services.activation.next_activation``."""
    drained = models.BooleanField(default=False)
    """It takes no new containers and starts none, until an admin takes it up again."""
    removing = models.BooleanField(default=False)
    """An admin asked for its end: nothing of ours is to be in its kernel, and then its row goes."""

    # Observations: the worker alone writes them.
    facts = Document(default=dict, blank=True)
    facts_at = models.DateTimeField(null=True, blank=True)
    error = Document(null=True, blank=True)
    """Why its worker could not start; empty once it has."""
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    """SHA-256 of the certificate with which its sessions process answers faces on other hosts (``networks.relay``); new at each start."""
    worker_version = models.CharField(max_length=32, blank=True)
    firewall_backend = models.CharField(max_length=32, blank=True)
    """The flavour in force (``iptables-legacy``, ``iptables-nft``, ``nftables``): chosen once, then kept."""
    underlay = models.CharField(max_length=39, blank=True)
    """The address by which other hosts reach its overlay networks; empty until its worker has looked, or where it has none."""
    underlay_room = models.PositiveIntegerField(default=0)
    """The largest packet of an overlay network that its underlay carries whole; 0: not known."""
    connections = models.PositiveIntegerField(default=0)
    """How many connections its kernel remembered at the last heartbeat …"""
    most_connections = models.PositiveIntegerField(default=0)
    """… and how many it can: packets that would begin one more are dropped. 0: it remembers none, or that is not known."""

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
