"""Closed sets of values, with the words that people see."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a user or a token may do. Each includes the one before."""

    VIEWER = "viewer", _("Viewer: sees everything, changes nothing")
    OPERATOR = "operator", _("Operator: creates, changes and removes networks and containers")
    ADMIN = "admin", _("Admin: everything, with users, tokens, bind mounts and adopted namespaces")


class NetworkStatus(models.TextChoices):
    PENDING = "pending", _("being made")
    READY = "ready", _("ready")
    FAILED = "failed", _("failed")
    REMOVING = "removing", _("being removed")


class Wanted(models.TextChoices):
    """What a person asked a container to be."""

    STOPPED = "stopped", _("stopped")
    RUNNING = "running", _("running")
    REMOVED = "removed", _("removed")


class ContainerStatus(models.TextChoices):
    """What a container was last seen to be."""

    CREATED = "created", _("created")
    STARTING = "starting", _("starting")
    RUNNING = "running", _("running")
    STOPPING = "stopping", _("stopping")
    RESTARTING = "restarting", _("restarting")
    EXITED = "exited", _("exited")
    FAILED = "failed", _("failed")
    REMOVING = "removing", _("being removed")


class ContainerKind(models.TextChoices):
    PROCESS = "process", _("process")
    SANDBOX = "sandbox", _("sandbox only")
    ADOPTED = "adopted", _("adopted namespace")
    DOCKER = "docker", _("a Docker Engine's container")


class RestartPolicy(models.TextChoices):
    NO = "no", _("never")
    ON_FAILURE = "on-failure", _("on failure")
    ALWAYS = "always", _("always")
    UNLESS_STOPPED = "unless-stopped", _("unless stopped")


class OperationState(models.TextChoices):
    PENDING = "pending", _("waiting")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


LEAVES_STATE = (
    "container.exec",
    "container.kill",
    "container.pause",
    "container.unpause",
    "container.commit",
    "container.create",
    "host.look",
    "network.peers",
)
"""Verbs of operations that change nothing that a status tells of."""


class Protocol(models.TextChoices):
    TCP = "tcp", "TCP"
    UDP = "udp", "UDP"
    SCTP = "sctp", "SCTP"
