"""What could not be made is withheld: left out of the desired state, and so not made in part by the next operation.

The rows stay, marked failed, until somebody repairs, starts or removes the object, or the worker starts anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from typing import Any

from django.db.models import QuerySet

from . import feed
from .models import Container, Endpoint, Host, Link, Network, PublishedPort
from .models.choices import ContainerStatus, NetworkStatus, Wanted

PARTS = {"endpoint": Endpoint, "port": PublishedPort, "link": Link}
"""Kinds of owners that a live container may do without -> their rows."""


def withhold(host: Host, missing: Mapping[str, Set[str]]) -> bool:
    """Leave out what is missing (kind of owner -> ids); whether anything was wanted until now.

    What a container that is left out itself consists of needs no mark.
    """
    networks = Network.objects.filter(host=host, pk__in=missing.get("network", ()), withheld=False)
    containers = Container.objects.filter(host=host, pk__in=missing.get("container", ()), wanted=Wanted.RUNNING)
    count = networks.update(withheld=True, status=NetworkStatus.FAILED)
    without = []
    for container in containers:
        if container.failed_run == container.run:
            continue
        container.failed_run, container.status, container.pid = container.run, ContainerStatus.FAILED, None
        container.save(update_fields=["failed_run", "status", "pid"])
        without.append(container.pk)
    for kind, model in PARTS.items():
        rows = model._default_manager.filter(pk__in=missing.get(kind, ()), withheld=False)
        owner = "recipient" if kind == "link" else "container"
        count += rows.exclude(**{f"{owner}__in": without}).update(withheld=True)
    return bool(count or without)


def withhold_unseen(host: Host, scope: Mapping[str, Any]) -> None:
    """Leave out what an operation that failed before its first step was to make, judged by the status alone."""
    networks = Network.objects.filter(pk__in=scope.get("networks", []), status=NetworkStatus.PENDING)
    containers = Container.objects.filter(pk__in=scope.get("containers", []), status=ContainerStatus.STARTING)
    withhold(
        host,
        {
            "network": set(networks.values_list("pk", flat=True)),
            "container": set(containers.values_list("pk", flat=True)),
        },
    )


def take_up(networks: QuerySet[Network], containers: QuerySet[Container]) -> None:
    """Want again what was withheld of these; the caller sees to it that the worker tries. Inside ``feed.transaction``."""
    for network in networks.filter(withheld=True):
        network.withheld, network.status, network.error = False, NetworkStatus.PENDING, None
        network.save(update_fields=["withheld", "status", "error"])
        feed.put("network", network)
    ids = list(containers.values_list("pk", flat=True))
    touched = {row.pk for row in containers if _take_up_run(row)}
    for kind, model in PARTS.items():
        owner = "recipient" if kind == "link" else "container"
        rows = model._default_manager.filter(**{f"{owner}__in": ids}, withheld=True)
        touched |= set(rows.values_list(f"{owner}_id", flat=True))
        rows.update(withheld=False)
    for container in containers.filter(pk__in=touched):
        feed.put("container", container)


def take_up_all(host: Host) -> None:
    """Want again everything of *host* that was withheld."""
    take_up(Network.objects.filter(host=host), Container.objects.filter(host=host))


def _take_up_run(row: Container) -> bool:
    """Open another run of a container whose run could not be brought up."""
    if row.wanted != Wanted.RUNNING or row.failed_run != row.run:
        return False
    row.generation, row.restart_count = row.generation + 1, 0
    row.failed_run, row.exited_run, row.error, row.status = "", "", None, ContainerStatus.STARTING
    row.save(update_fields=["generation", "restart_count", "failed_run", "exited_run", "error", "status"])
    return True


def failed_parts(container: Container) -> bool:
    """Whether a live container does without something that it was to have."""
    lists: Collection[QuerySet[Any]] = (container.endpoints.all(), container.ports.all(), container.links.all())
    return any(rows.filter(withheld=True).exists() for rows in lists)


def lacking(host: Host) -> set[str]:
    """The ids of all containers of *host* of which :func:`failed_parts` is true."""
    found: set[str] = set()
    for kind, model in PARTS.items():
        owner = "recipient" if kind == "link" else "container"
        rows = model._default_manager.filter(**{f"{owner}__host": host}, withheld=True).order_by()
        found |= set(rows.values_list(f"{owner}_id", flat=True))
    return found
