"""Published ports: which host port leads to which container."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from django.db.models import F

from networks import feed
from networks.cnm.addresses import AnyNetwork
from networks.cnm.errors import Conflict, Exhausted, NotFound
from networks.cnm.facts import HostFacts
from networks.cnm.text import Text, gettext_noop
from networks.composed import insert_many, update
from networks.host_ports import (
    Taken,
    bounds,
    collide,
    free_ports,
    holders,
    is_fixed,
    plain,
    ports_held,
    ports_taken,
    published_on,
)
from networks.load import is_live, load_facts
from networks.models import Container, PublishedPort
from networks.settle import rests
from worker.drivers import driver

from .actor import Actor, require
from .fresh import check_not_dockers, check_not_removed, know_parts, read_parts, refresh
from .operations import check_alive, enqueue, next_activation, record
from .outcome import Outcome
from .second_look import SeenConflict, with_second_look
from .spec_container import SHARED_MODES, ContainerRequest
from .spec_ports import PortRequest

FEW = 8
"""Ports whose rows are written one by one, by a statement that is there already; of more, one is composed."""
_PORT_TAKEN = gettext_noop("The host port {port}/{protocol} is held by {holder}.")
_THIS = Text(gettext_noop("this container"))


@with_second_look
def publish(actor: Actor, container: Container, requests: Sequence[PortRequest]) -> Outcome:
    """Publish more ports of a container, at once when it runs."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_removed(container)
        check_not_dockers(container)
        _check_publishes(container)
        live = is_live(container)
        rows = add_rows(container, requests)
        operation = None
        if not live:
            _check_all_free(container, rows)
        else:
            assign_ports(container)
            operation = enqueue(actor, container.host, "port.publish", container, containers=[container])
        feed.put("container", container)
        record(actor, "port.publish", container, {"ports": [asdict(request) for request in requests]}, operation)
    return Outcome(container, operation)


def _check_publishes(container: Container) -> None:
    if container.network_mode in SHARED_MODES or container.shares_id:
        raise Conflict(
            gettext_noop("Container {container} publishes no ports: it is in network mode {mode}."),
            remedy=gettext_noop(
                "Its ports are those of the network stack that it is in; publish there, or use a bridge network."
            ),
            field="ports",
            container=container.name,
            mode=container.network_mode,
        )


def unpublish(actor: Actor, container: Container, port_id: str) -> Outcome:
    """Close a published port."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_dockers(container)
        port = _published(container, port_id)
        operation = None
        if not rests(container):
            port.removing = True
            port.save(update_fields=["removing"])
            operation = enqueue(actor, container.host, "port.unpublish", container, containers=[container])
        else:
            port.delete()
        feed.put("container", container)
        record(actor, "port.unpublish", container, {"port": str(port)}, operation)
    return Outcome(container, operation)


def restrict(actor: Actor, container: Container, port_id: str, sources: Sequence[AnyNetwork]) -> Outcome:
    """Let only *sources* reach a published port; with none, everybody. The port stays held and its connections stand."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        port = _published(container, port_id)
        port.allowed_sources = [str(source) for source in sources]
        port.save(update_fields=["allowed_sources"])
        operation = None
        if is_live(container):
            operation = enqueue(actor, container.host, "port.restrict", container, containers=[container])
        feed.put("container", container)
        record(
            actor, "port.restrict", container, {"port": str(port), "allowed_sources": port.allowed_sources}, operation
        )
    return Outcome(container, operation)


def _published(container: Container, port_id: str) -> PublishedPort:
    port = container.ports.filter(pk=port_id, removing=False).first()
    if port is None:
        raise NotFound(
            gettext_noop("Container {name} has no published port {port}."),
            remedy=gettext_noop("See its list of ports for their ids."),
            name=container.name,
            port=port_id,
        )
    return port


def add_ports(container: Container, request: ContainerRequest) -> tuple[Text, ...]:
    """The ports of a new container; what its maker should know where they are of no use.

    Its start looks whether they are free, at once or later: Compose makes a container's replacement while that still runs."""
    wanted = list(request.ports)
    if request.publish_all:
        named = {(port.container_port, port.protocol) for port in wanted}
        exposed = [(int(number), protocol) for number, protocol in container.spec["exposed_ports"]]
        wanted += [PortRequest(container_port=n, protocol=p) for n, p in exposed if (n, p) not in named]
    if not wanted:
        return ()
    if container.network_mode in SHARED_MODES:
        return (
            Text.of(
                gettext_noop("Published ports are discarded when using {mode} network mode."),
                mode=container.network_mode,
            ),
        )
    add_rows(container, wanted)
    networks = [endpoint.network for endpoint in container.endpoints.all()]
    if all(network.internal for network in networks):
        return (Text.of(gettext_noop("All networks of the container are internal: its ports are not published.")),)
    if not any(driver(network.driver).publishes for network in networks):
        return (
            Text.of(
                gettext_noop(
                    "No network of the container publishes ports: it is reached at its own address, by all of its ports."
                )
            ),
        )
    return ()


def add_rows(container: Container, requests: Sequence[PortRequest]) -> list[PublishedPort]:
    """The rows of published ports, which may be held by others."""
    read_parts(container)
    first = next_activation(container.host, len(requests))
    # Docker programs a list of ports from the highest down; the order is kept as activation numbers.
    ordered = sorted(requests, key=lambda r: (-r.container_port, r.protocol, -r.host_port))
    rows = [
        PublishedPort(
            container=container,
            protocol=request.protocol,
            host_address=str(request.host_address or ""),
            wanted_host_port=request.host_port,
            wanted_host_port_end=request.host_port_end,
            container_port=request.container_port,
            allowed_sources=[str(source) for source in request.allowed_sources],
            activation=first + number,
        )
        for number, request in enumerate(ordered)
    ]
    _check_own(rows, published_on(container.endpoints.all()))
    insert_many(rows)
    know_parts(container, ports=[*container.ports.all(), *rows])
    return rows


def _check_all_free(container: Container, rows: Iterable[PublishedPort]) -> None:
    default = published_on(container.endpoints.all())
    taken, facts = ports_taken(container.host, container), load_facts(container.host)
    for row in rows:
        if is_fixed(row):
            check_free(row, row.host_address or default, taken, facts)


def assign_ports(container: Container) -> None:
    """Settle the host port of every published port of a container that starts. Raises :class:`Conflict` with the holder."""
    read_parts(container)
    # Those with the least choice first, so that a range leaves a port to the one that names it.
    kept = [row for row in container.ports.all() if not row.removing]
    rows = sorted(kept, key=lambda row: (not is_fixed(row), not row.wanted_host_port))
    if not rows:
        return
    facts, taken = load_facts(container.host), ports_taken(container.host, container)
    default = published_on(container.endpoints.all())
    for row in rows:
        address = row.host_address or default
        if is_fixed(row):
            check_free(row, address, taken, facts)
            row.host_port = row.wanted_host_port
        elif not row.host_port or holders(row.protocol, address, row.host_port, taken):
            row.host_port = _free_port(row, address, taken, facts)
        taken.setdefault((row.protocol, row.host_port), set()).add(address)
    if len(rows) <= FEW:
        for row in rows:
            update(row, "host_port")
        return
    named = container.ports.filter(removing=False, wanted_host_port__gt=0, wanted_host_port_end=0)
    named.update(host_port=F("wanted_host_port"))
    PublishedPort.objects.bulk_update([row for row in rows if not is_fixed(row)], ["host_port"])


def check_free(row: PublishedPort, address: str, taken: Taken, facts: HostFacts, port: int = 0) -> None:
    """Raises :class:`Conflict` when somebody holds *port* (default: the wanted host port of *row*) on *address*."""
    port = port or row.wanted_host_port
    if holders(row.protocol, address, port, taken):
        held = ports_held(row.container.host, besides=row.container)
        holder = next((other for other in held if (other.protocol, other.host_port) == (row.protocol, port)), None)
        whose = Text.of(gettext_noop("container {name}"), name=holder.container.name) if holder else _THIS
        raise _port_taken(row, port, whose)
    for listener in facts.listeners:
        if (listener.protocol, listener.port) == (row.protocol, port) and collide(plain(listener.address), address):
            program = listener.process or Text(gettext_noop("another program"))
            raise SeenConflict(_PORT_TAKEN, host=row.container.host, **_taken(row, port, program))


def _port_taken(row: PublishedPort, port: int, holder: Text) -> Conflict:
    return Conflict(_PORT_TAKEN, **_taken(row, port, holder))


def _taken(row: PublishedPort, port: int, holder: str | Text) -> dict[str, Any]:
    remedy = gettext_noop("Choose another host port or address, or stop {holder}.")
    return {"remedy": remedy, "field": "ports", "port": port, "protocol": row.protocol, "holder": holder}


def _free_port(row: PublishedPort, address: str, taken: Taken, facts: HostFacts) -> int:
    port = next(free_ports(row, address, taken, facts), None)
    if port is not None:
        return port
    low, high = bounds(row, facts)
    raise Exhausted(
        gettext_noop("No {protocol} port from {low} to {high} is free on the host."),
        remedy=gettext_noop("Name another host port or range, or stop containers that publish ports."),
        field="ports",
        protocol=row.protocol,
        low=low,
        high=high,
    )


def _check_own(rows: Iterable[PublishedPort], default: str) -> None:
    taken: Taken = {}
    for row in rows:
        address = row.host_address or default
        if is_fixed(row) and holders(row.protocol, address, row.wanted_host_port, taken):
            raise _port_taken(row, row.wanted_host_port, Text(gettext_noop("another port of this request")))
        if is_fixed(row):
            taken.setdefault((row.protocol, row.wanted_host_port), set()).add(address)
