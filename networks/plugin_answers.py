"""What plugins answered, written back to the rows that compile reads: ranges, addresses, interfaces. Observations, not decisions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_network

from django.utils.module_loading import import_string

from . import feed
from .cnm.desired import Joined
from .models import Container, Endpoint, Host, Network, Subnet
from .models.choices import NetworkStatus

ACTOR = "worker"
WHEN_JOINED = "networks.services.gateway.settle_joined"
"""What the desired state makes of a plugin's answer is a service's to decide. By name: whoever notes answers does not depend on it."""
IFNAME_LENGTH = 15
"""``IFNAMSIZ`` less the end (linux/if.h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAnswer:
    """A range of addresses that an IPAM plugin keeps for a network."""

    network_id: str
    subnet: str
    gateway: str = ""


@dataclass(slots=True, kw_only=True)
class EndpointAnswer:
    """What plugins said of one endpoint; None: nothing yet."""

    ipv4: str | None = None
    """Address with prefix."""
    ipv6: str | None = None
    mac: str | None = None
    joined: Joined | None = None


@dataclass(slots=True)
class Answers:
    """Everything that plugins have said of what they hold for us now."""

    pools: list[PoolAnswer] = field(default_factory=list)
    endpoints: dict[str, EndpointAnswer] = field(default_factory=dict)
    allocated: dict[str, dict[str, str]] = field(default_factory=dict)
    """Network id -> what its options are on all hosts."""

    def of(self, endpoint_id: str) -> EndpointAnswer:
        return self.endpoints.setdefault(endpoint_id, EndpointAnswer())


def note_answers(host: Host, answers: Answers) -> set[str]:
    """Bring the rows to what plugins answered. The networks (ids) that are needed from now on by whoever was given no way outside."""
    if not _differs(host, answers):
        return set()  # without a transaction, which others would wait for
    containers: set[str] = set()
    joined: set[str] = set()
    networks: set[str] = set()
    with feed.transaction(ACTOR):
        networks |= {pool.network_id for pool in answers.pools if _note_pool(pool)}
        for network in _reallocated(host, answers):
            network.driver_state = answers.allocated[network.pk]
            network.save(update_fields=["driver_state"])
            networks.add(network.pk)
        for row in _rows(host, answers):
            before = row.joined
            if _take_over(row, answers.endpoints[row.pk]):
                row.save(update_fields=["ipv4", "ipv6", "mac", "ifname", "joined"])
                containers.add(row.container_id)
                networks.add(row.network_id)
                joined |= {row.container_id} if row.joined != before else set()
        _tell(containers, networks)
        return set(import_string(WHEN_JOINED)(joined)) if joined else set()


def _differs(host: Host, answers: Answers) -> bool:
    changed = any(_take_over(row, answers.endpoints[row.pk]) for row in _rows(host, answers))
    return changed or bool(_reallocated(host, answers)) or any(_changed(pool) is not None for pool in answers.pools)


def _reallocated(host: Host, answers: Answers) -> list[Network]:
    """The networks that a plugin allocated otherwise than their rows say. One that is there stays as all hosts were told of it."""
    if not answers.allocated:
        return []
    rows = Network.objects.filter(pk__in=answers.allocated, host=host)
    open_rows = rows.exclude(status=NetworkStatus.READY, driver_state__isnull=False)
    return [row for row in open_rows if row.driver_state != answers.allocated[row.pk]]


def _rows(host: Host, answers: Answers) -> Iterable[Endpoint]:
    if not answers.endpoints:
        return ()
    return Endpoint.objects.filter(pk__in=answers.endpoints, container__host=host)


def _note_pool(answer: PoolAnswer) -> bool:
    row = _changed(answer)
    if row is not None:
        row.save()
    return row is not None


def _changed(answer: PoolAnswer) -> Subnet | None:
    """The row of a range as it should be, or None where it is so already. One that was asked for is known by itself; one of the
    plugin's choice takes the place of that which it chose before."""
    network = Network.objects.filter(pk=answer.network_id).first()
    if network is None:
        return None
    version = ip_network(answer.subnet).version
    rows = [row for row in network.subnets.all() if ip_network(row.cidr).version == version]
    row = next((row for row in rows if row.cidr == answer.subnet or row.from_pool), None)
    if row is None:
        if rows:
            return None  # a range that was asked for has its row
        row = Subnet(network=network, from_pool=True)
    wanted = (answer.subnet, answer.gateway or row.gateway)
    if (row.cidr, row.gateway) == wanted:
        return None
    row.cidr, row.gateway = wanted
    return row


def _take_over(row: Endpoint, answer: EndpointAnswer) -> bool:
    """Bring *row* (not saved) to what was answered; whether that changed it."""
    before = (row.ipv4, row.ipv6, row.mac, row.ifname, row.joined)
    for name in ("ipv4", "ipv6", "mac"):
        value = getattr(answer, name)
        if value is not None:
            setattr(row, name, value)
    if answer.joined is not None:
        joined = answer.joined.to_json()
        if row.joined != joined:
            row.joined, row.ifname = joined, _ifname(row, answer.joined.prefix)
    return before != (row.ipv4, row.ipv6, row.mac, row.ifname, row.joined)


def _ifname(row: Endpoint, prefix: str) -> str:
    """The plugin says what the name begins with, and the first free number ends it; one that a person chose stays."""
    if not prefix or row.wanted_ifname or re.fullmatch(rf"{re.escape(prefix)}\d+", row.ifname):
        return row.ifname
    taken = set(Endpoint.objects.filter(container=row.container_id).exclude(pk=row.pk).values_list("ifname", flat=True))
    return next(name for n in range(len(taken) + 1) if (name := f"{prefix}{n}") not in taken)[:IFNAME_LENGTH]


def _tell(containers: Iterable[str], networks: Collection[str]) -> None:
    for container in Container.objects.filter(pk__in=list(containers)):
        feed.put("container", container)
    for network in Network.objects.filter(pk__in=list(networks)):
        feed.put("network", network)
