"""What a Docker Engine has of ours: its networks that stand on networks here."""

from __future__ import annotations

from django.db import models

from .host import Host
from .network import Network


class DockerNetwork(models.Model):
    """A network of the Docker Engine of a host, by the engine's own id, and the network here that it stands on."""

    id = models.CharField(primary_key=True, max_length=64)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="docker_networks")
    network = models.ForeignKey(Network, on_delete=models.CASCADE, related_name="docker_networks")
    made = models.BooleanField(default=False)
    """Whether the network here was made for it, and goes with it."""

    def __str__(self) -> str:
        return f"{self.id[:12]} on {self.network}"
