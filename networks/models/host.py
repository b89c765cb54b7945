"""The hosts on which workers apply changes."""

from __future__ import annotations

from django.db import models


class Host(models.Model):
    """A Linux machine (or network namespace) with a worker."""

    name = models.CharField(max_length=64, unique=True)
    settings = models.JSONField(default=dict)
    """``networks.cnm.desired.HostSettings`` as JSON; written at start from the environment."""
    activation_counter = models.BigIntegerField(default=0)
    """The last activation number given on this host; see ``services.activation.next_activation``."""

    # Observations: the worker alone writes them.
    facts = models.JSONField(default=dict, blank=True)
    facts_at = models.DateTimeField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True)
    """Why its worker could not start; empty once it has."""
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    worker_version = models.CharField(max_length=32, blank=True)
    firewall_backend = models.CharField(max_length=32, blank=True)
    """The flavour in force (``iptables-legacy``, ``iptables-nft``, ``nftables``): chosen once, then kept."""

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
