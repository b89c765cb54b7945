"""What starting, stopping and removing a container decide about its rows. The use cases open the operations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from networks import feed
from networks.cnm.errors import Conflict
from networks.cnm.text import gettext_noop
from networks.composed import composed, update
from networks.load import is_live
from networks.models import Container
from networks.models.choices import ContainerStatus, Wanted

from . import ipam, ports
from .availability import check_takes_containers
from .endpoints import check_usable, give_addresses
from .fresh import check_not_removed, read_parts
from .links import check_sources
from .operations import next_activation


def prepare_start(container: Container) -> None:
    """Everything that a start decides: addresses, host ports, the run's number. The caller opens the operation."""
    read_parts(container)
    for part in (container.endpoints, container.ports, container.links):
        for row in part.all():
            if row.withheld:
                row.withheld = False
                row.save(update_fields=["withheld"])
    endpoints = [endpoint for endpoint in container.endpoints.all() if not endpoint.removing]
    for endpoint in endpoints:
        check_usable(endpoint.network)
    check_sources(container)
    if container.shares_id and container.shares is not None and not is_live(container.shares):
        raise Conflict(
            gettext_noop("Container {name} shares the sandbox of {other}, which is not running."),
            remedy=gettext_noop("Start {other} first."),
            name=container.name,
            other=container.shares.name,
        )
    container.wanted = Wanted.RUNNING
    container.status = ContainerStatus.STARTING
    container.generation += 1
    container.restart_count = 0
    container.exited_run = container.failed_run = ""
    container.error = None
    container.activation = next_activation(container.host)
    check_takes_containers(container.host)
    update(
        container,
        "wanted",
        "status",
        "generation",
        "restart_count",
        "exited_run",
        "failed_run",
        "error",
        "activation",
    )
    for endpoint in endpoints:
        if not (endpoint.ipv4 or endpoint.ipv6):
            give_addresses(endpoint)
        feed.put("network", endpoint.network)
    ports.assign_ports(container)
    feed.put("container", container)


def is_up(container: Container) -> bool:
    """Whether there is nothing to start: it runs, or is on its way."""
    up = {ContainerStatus.RUNNING, ContainerStatus.STARTING, ContainerStatus.RESTARTING}
    return container.wanted == Wanted.RUNNING and container.status in up


def prepare_stop(container: Container) -> bool:
    """Have a container stop; False: it is no more than that already."""
    if container.wanted != Wanted.RUNNING and container.status != ContainerStatus.FAILED:
        return False
    container.wanted, container.status = Wanted.STOPPED, ContainerStatus.STOPPING
    update(container, "wanted", "status")
    feed.put("container", container)
    return True


def prepare_removal(container: Container) -> bool:
    """Have a container go for good; whether its process may still have to be ended."""
    ran = container.wanted == Wanted.RUNNING or container.status in {"stopping", "failed"}
    container.wanted, container.status = Wanted.REMOVED, ContainerStatus.REMOVING
    update(container, "wanted", "status")
    feed.put("container", container)
    return ran and container.kind == "process"


def ends_of(containers: Iterable[Container], timeout: int | None = None, signal: str = "") -> dict[str, list[Any]]:
    """How the processes of *containers* are ended, for an operation's arguments: id -> [signal, seconds until SIGKILL].

    *timeout* None, *signal* empty: each as it was made. Containers without a process have no entry.
    """
    return {
        row.pk: [
            signal or row.stop_signal,
            row.spec.get("stop_timeout", 10) if timeout is None else timeout,
        ]
        for row in containers
        if row.kind == "process"
    }


_sharing = composed(lambda pk: Container.objects.filter(shares=pk).exclude(wanted=Wanted.REMOVED).only("name"))
_recipients = composed(
    lambda pk: Container.objects.filter(links__source=pk).exclude(wanted=Wanted.REMOVED).distinct().only("name")
)


def check_removable(container: Container, force: bool, links: bool = False) -> None:
    """Raises :class:`Conflict` when others need *container*, or when it runs and that is not to be ended by *force*, with which (or with
    *links*) links to it go along."""
    if container.status != ContainerStatus.FAILED:  # a removal that failed may be asked for again
        check_not_removed(container)
    sharing = _sharing(container.pk)
    if sharing:
        raise Conflict(
            gettext_noop("The sandbox of container {name} is shared by {others}."),
            remedy=gettext_noop("Remove these first."),
            name=container.name,
            others=ipam.names_of(sharing),
        )
    recipients = _recipients(container.pk)
    if recipients and not (force or links):
        raise Conflict(
            gettext_noop("Container {name} is linked to by {others}."),
            remedy=gettext_noop("Remove the links, or remove it with force: the links go with it."),
            name=container.name,
            others=ipam.names_of(recipients),
        )
    if is_live(container) and container.status != ContainerStatus.FAILED and not force:
        raise Conflict(
            gettext_noop("Container {name} is running."),
            remedy=gettext_noop("Stop it first, or remove it with force."),
            name=container.name,
        )
