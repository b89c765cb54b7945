"""Networks, their subnets, and the addresses given out of them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from networks.cnm.names import new_id, short

from .choices import NetworkStatus
from .document import Document
from .host import Host

LOCAL, GLOBAL = "local", "global"


def usable_on(host: Host) -> Q:
    """The networks that containers of *host* can be on: its own, and those that span hosts."""
    return Q(host=host) | Q(scope=GLOBAL)


class _Networks(models.Manager["Network"]):
    def on(self, host: Host) -> models.QuerySet[Network]:
        """Those that containers of *host* can be on."""
        return self.filter(usable_on(host))


class Network(models.Model):
    """A group of endpoints that can reach one another."""

    id = models.CharField(primary_key=True, max_length=64, default=new_id, editable=False)
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="networks")
    """Where it is; of a network that spans hosts the one that keeps its books, which is where it was made."""
    name = models.CharField(max_length=128)
    driver = models.CharField(max_length=64, default="bridge")
    """One of ours, or a plugin by its name."""
    scope = models.CharField(max_length=8, default=LOCAL)
    """``local``, or ``global``: it spans hosts."""
    vni = models.PositiveIntegerField(null=True, blank=True, unique=True)
    """The number of its VXLAN segment, or of the first of them; none for networks that stay on their host."""
    predefined = models.BooleanField(default=False)
    internal = models.BooleanField(default=False)
    attachable = models.BooleanField(default=False)
    enable_ipv6 = models.BooleanField(default=False)
    options = Document(default=dict, blank=True)
    """Driver options in Docker's spelling; ``worker.drivers.read_network_options`` reads them."""
    ipam_driver = models.CharField(max_length=64, default="default")
    """Who gives out its addresses: ``default`` (we do), ``null`` (nobody), or a plugin by its name."""
    ipam_options = Document(default=dict, blank=True)
    """What that plugin is told with each request for a range."""
    driver_state = Document(null=True, blank=True)
    """What its driver, a plugin, made of the options for all hosts (observation); none while it is not asked, or settles nothing."""
    labels = Document(default=dict, blank=True)
    activation = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)
    removing = models.BooleanField(default=False)
    """Somebody asked for its end, but the kernel may still hold it; the row goes when the worker is through."""

    # Observations
    status = models.CharField(max_length=16, choices=NetworkStatus.choices, default=NetworkStatus.PENDING)
    error = Document(null=True, blank=True)
    withheld = models.BooleanField(default=False)
    """It could not be made: it is left out of the desired state until somebody repairs it (``networks.withheld``)."""

    objects = _Networks()

    class Meta:
        ordering = ["activation"]
        constraints = [
            models.UniqueConstraint(fields=["host", "name"], name="one_network_name_per_host"),
            models.UniqueConstraint(fields=["host", "activation"], name="one_network_activation_per_host"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def short_id(self) -> str:
        return short(self.id)


class Subnet(models.Model):
    """One address range of a network. Addresses are text in ``ipaddress``'s canonical form."""

    network = models.ForeignKey(Network, on_delete=models.CASCADE, related_name="subnets")
    cidr = models.CharField(max_length=43)
    gateway = models.CharField(max_length=39, blank=True)
    ip_range = models.CharField(max_length=43, blank=True)
    """Where dynamic addresses come from; empty: the whole subnet."""
    reserved = Document(default=dict, blank=True)
    """Name -> address that is never given out (Docker's aux-address)."""
    promised = Document(default=list, blank=True)
    """Addresses that a Docker Engine has asked for and not used yet: nobody else gets them."""
    from_pool = models.BooleanField(default=False)
    """Whether nobody asked for it: it was taken from the default pools, or an IPAM plugin chose it (no address of one's own choice
    then, as in Docker)."""
    vni = models.PositiveIntegerField(null=True, blank=True, unique=True)
    """The number of the VXLAN segment that carries it, where its network has several and this is not on the first."""

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.cidr


class Lease(models.Model):
    """One address of one network that is, or once was, an endpoint's.

    The row stays when the endpoint lets go, with ``released_at`` set: so the address that rested longest is reused first, and
    a container that starts again can ask for the one it had.
    """

    network = models.ForeignKey(Network, on_delete=models.CASCADE, related_name="leases")
    address = models.CharField(max_length=39)
    endpoint = models.ForeignKey(
        "networks.Endpoint", on_delete=models.SET_NULL, null=True, blank=True, related_name="leases"
    )
    last_container_id = models.CharField(max_length=64, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["network", "address"], name="one_lease_per_address")]
        indexes = [models.Index(fields=["network", "released_at"], condition=Q(endpoint=None), name="free_leases")]

    def __str__(self) -> str:
        return self.address
