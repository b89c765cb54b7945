"""Containers, their endpoints, published ports and links."""

from __future__ import annotations

from django.db import models

from networks.cnm.health import Health
from networks.cnm.names import new_id, short

from .choices import ContainerKind, ContainerStatus, Protocol, RestartPolicy, Wanted
from .document import Document
from .host import Host
from .network import Network

IMAGE_STOP_SIGNAL = "image_stop_signal"
"""In a container's ``spec``: the signal that its image wants it to be stopped by, as it was when the container was made."""


class Container(models.Model):
    """A sandbox, and usually a process that runs in it.

    ``wanted`` is desired state and written by services alone. The fields below "Observations" are the worker's. Whether the
    sandbox should exist now follows from both (``networks.load.is_live``).
    """

    id = models.CharField(primary_key=True, max_length=64, default=new_id, editable=False)
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="containers")
    name = models.CharField(max_length=128)
    kind = models.CharField(max_length=16, choices=ContainerKind.choices, default=ContainerKind.PROCESS)
    network_mode = models.CharField(max_length=160, default="bridge")
    shares = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="shared_by")
    """The container whose sandbox it joins (``network_mode="container:<id>"``). The services keep that one while it is shared; where
    both go, either may be gone first."""
    adopted_path = models.CharField(max_length=255, blank=True)
    image = models.CharField(max_length=255, default="host")
    spec = Document(default=dict)
    """``ContainerRequest.stored()`` (``networks.services.spec_container``): command, environment, hostname, dns, limits, …"""
    labels = Document(default=dict, blank=True)
    has_health_check = models.BooleanField(default=False)
    """Whether it is probed while it runs, as ``spec["healthcheck"]`` says (:mod:`networks.cnm.health`)."""
    restart_policy = models.CharField(max_length=16, choices=RestartPolicy.choices, default=RestartPolicy.NO)
    restart_max = models.PositiveIntegerField(default=0)
    """For ``on-failure``: how many times at most; 0: without end."""
    auto_remove = models.BooleanField(default=False)
    wanted = models.CharField(max_length=16, choices=Wanted.choices, default=Wanted.STOPPED)
    generation = models.PositiveIntegerField(default=0)
    """How many times a person started it."""
    activation = models.BigIntegerField(default=0)
    """Grows with each start on the host: links and ports of a later start stand below."""
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)

    # Observations
    status = models.CharField(max_length=16, choices=ContainerStatus.choices, default=ContainerStatus.CREATED)
    pid = models.PositiveIntegerField(null=True, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    exited_run = models.CharField(max_length=32, blank=True)
    """The run (``generation.restart_count``) that was last seen to end."""
    failed_run = models.CharField(max_length=32, blank=True)
    """The run that could not be brought up: it is left out of the desired state until a repair or a start opens another."""
    final_run = models.CharField(max_length=32, blank=True)
    """The run that a person has killed: no policy starts another after it."""
    paused_run = models.CharField(max_length=32, blank=True)
    """The run whose processes stand still; one that has ended does not count any more."""
    restart_count = models.PositiveIntegerField(default=0)
    """Restarts by policy since the last start by a person."""
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    health = Document(default=dict, blank=True)
    """What its health check found in the run that it names (``Health.to_json()``)."""
    files = Document(default=dict, blank=True)
    """``{"hosts": text, "hostname": text, "resolv.conf": text}`` as last seen on the host."""
    link_env = Document(default=dict, blank=True)
    """The variables that its links gave its process at the last start; they stay as they were then."""
    oom_killed = models.BooleanField(default=False)
    error = Document(null=True, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [models.UniqueConstraint(fields=["host", "name"], name="one_container_name_per_host")]

    def __str__(self) -> str:
        return self.name

    @property
    def short_id(self) -> str:
        return short(self.id)

    @property
    def stop_signal(self) -> str:
        """By what its process is asked to end: its own choice, else its image's, else SIGTERM."""
        return self.spec.get("stop_signal") or self.spec.get(IMAGE_STOP_SIGNAL) or "SIGTERM"

    @property
    def run(self) -> str:
        return f"{self.generation}.{self.restart_count}"

    @property
    def health_status(self) -> str:
        """``starting``, ``healthy`` or ``unhealthy``; empty: nobody asks."""
        return Health.of(self.health, self.run).status if self.has_health_check else ""

    @property
    def paused(self) -> bool:
        return self.status == ContainerStatus.RUNNING and self.paused_run == self.run


class Endpoint(models.Model):
    """One attachment of a container to a network. Its address is a lease while the container is live."""

    id = models.CharField(primary_key=True, max_length=64, default=new_id, editable=False)
    container = models.ForeignKey(Container, on_delete=models.CASCADE, related_name="endpoints")
    network = models.ForeignKey(Network, on_delete=models.PROTECT, related_name="endpoints")
    position = models.PositiveIntegerField(default=0)
    """The order of attaching. Numbers of disconnected endpoints are used again, as Docker does."""
    ifname = models.CharField(max_length=15, blank=True)
    """The interface's name inside the sandbox: chosen, or the network's prefix and the first free number (``eth0``)."""
    mac = models.CharField(max_length=17, blank=True)
    ipv4 = models.CharField(max_length=18, blank=True)
    """Address with prefix, empty while the container has none."""
    ipv6 = models.CharField(max_length=43, blank=True)
    wanted_ifname = models.CharField(max_length=15, blank=True)
    """The one that a person chose of a plugin's interface; empty: the plugin says what it begins with."""
    wanted_mac = models.CharField(max_length=17, blank=True)
    wanted_ipv4 = models.CharField(max_length=15, blank=True)
    wanted_ipv6 = models.CharField(max_length=39, blank=True)
    aliases = Document(default=list, blank=True)
    gw_priority = models.IntegerField(default=0)
    sysctls = Document(default=dict, blank=True)
    """Settings of its interface in the sandbox: ``net.ipv4.conf.IFNAME.log_martians`` -> value."""
    driver_options = Document(default=dict, blank=True)
    """Options that mean something to a plugin alone."""
    joined = Document(null=True, blank=True)
    """What a plugin answered when it joined (observation): ``networks.plugin_answers``; none on networks of our own drivers."""
    removing = models.BooleanField(default=False)
    """Disconnected, but the kernel may still hold it; the row tells the worker what to take away and goes afterwards."""
    withheld = models.BooleanField(default=False)
    """It could not be made (observation): left out until a repair or a start (``networks.withheld``)."""

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["container", "network"], condition=models.Q(removing=False), name="one_endpoint_per_network"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.container} on {self.network}"

    @property
    def short_id(self) -> str:
        return short(self.id)


class PublishedPort(models.Model):
    """A host port that leads to a container's port."""

    id = models.CharField(primary_key=True, max_length=64, default=new_id, editable=False)
    container = models.ForeignKey(Container, on_delete=models.CASCADE, related_name="ports")
    protocol = models.CharField(max_length=4, choices=Protocol.choices, default=Protocol.TCP)
    host_address = models.CharField(max_length=39, blank=True)
    """Empty: the default of the network that leads outside, which is every address of the host unless it says otherwise."""
    wanted_host_port = models.PositiveIntegerField(default=0)
    """0: any free port, chosen anew at each start."""
    wanted_host_port_end = models.PositiveIntegerField(default=0)
    """The last of a range of which one port is taken; 0: ``wanted_host_port`` alone."""
    host_port = models.PositiveIntegerField(default=0)
    """The port in use; 0 while there is none."""
    container_port = models.PositiveIntegerField()
    allowed_sources = Document(default=list, blank=True)
    activation = models.BigIntegerField(default=0)
    """The order of ports on the host; a range is counted from its highest port down, as Docker programs it."""
    removing = models.BooleanField(default=False)
    withheld = models.BooleanField(default=False)
    """It could not be reserved (observation): left out until a repair or a start (``networks.withheld``)."""

    class Meta:
        ordering = ["activation"]

    def __str__(self) -> str:
        return f"{self.host_address or '*'}:{self.host_port}->{self.container_port}/{self.protocol}"


class Link(models.Model):
    """Recipient -> source, by an alias (the default bridge's legacy links)."""

    id = models.CharField(primary_key=True, max_length=64, default=new_id, editable=False)
    recipient = models.ForeignKey(Container, on_delete=models.CASCADE, related_name="links")
    source = models.ForeignKey(Container, on_delete=models.CASCADE, related_name="linked_by")
    alias = models.CharField(max_length=128)
    activation = models.BigIntegerField(default=0)
    last_ipv4 = models.CharField(max_length=15, blank=True)
    """The source's address on the default bridge when it last let go of one (observation)."""
    withheld = models.BooleanField(default=False)
    """Its rules could not be made (observation): left out until a repair or a start (``networks.withheld``)."""

    class Meta:
        ordering = ["activation"]
        constraints = [models.UniqueConstraint(fields=["recipient", "alias"], name="one_link_alias_per_recipient")]

    def __str__(self) -> str:
        return f"{self.recipient} -> {self.source} as {self.alias}"
