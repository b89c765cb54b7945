"""Published ports: which host port leads to which container."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from networks import feed
from networks.cnm.errors import Conflict, Exhausted, NotFound
from networks.cnm.facts import HostFacts
from networks.cnm.text import Text, gettext_noop
from networks.load import load_facts
from networks.models import Container, Host, PublishedPort

from .actor import Actor, require
from .operations import check_alive, enqueue, next_activation, record
from .outcome import Outcome
from .spec_container import ContainerRequest
from .spec_ports import PortRequest

Taken = dict[tuple[str, int], set[str]]
"""(protocol, port) -> addresses ("" is every address) that hold it."""


def publish(actor: Actor, container: Container, requests: Sequence[PortRequest]) -> Outcome:
    """Publish more ports of a container, at once when it runs."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        _add(container, requests)
        operation = None
        if container.wanted == "running":
            assign_ports(container)
            operation = enqueue(actor, container.host, "port.publish", container, containers=[container])
        feed.put("container", container)
        record(actor, "port.publish", container, {"ports": [str(request) for request in requests]}, operation)
    return Outcome(container, operation)


def unpublish(actor: Actor, container: Container, port_id: str) -> Outcome:
    """Close a published port."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        port = container.ports.filter(pk=port_id, removing=False).first()
        if port is None:
            raise NotFound(
                gettext_noop("Container {name} has no published port {port}."),
                remedy=gettext_noop("See its list of ports for their ids."),
                name=container.name,
                port=port_id,
            )
        operation = None
        if container.wanted == "running":
            port.removing = True
            port.save(update_fields=["removing"])
            operation = enqueue(actor, container.host, "port.unpublish", container, containers=[container])
        else:
            port.delete()
        feed.put("container", container)
        record(actor, "port.unpublish", container, {"port": str(port)}, operation)
    return Outcome(container, operation)


def add_ports(container: Container, request: ContainerRequest) -> tuple[Text, ...]:
    """The ports of a new container; what its maker should know where they are of no use."""
    wanted = list(request.ports)
    if request.publish_all:
        named = {(port.container_port, port.protocol) for port in wanted}
        exposed = [(int(number), protocol) for number, protocol in container.spec["exposed_ports"]]
        wanted += [PortRequest(container_port=n, protocol=p) for n, p in exposed if (n, p) not in named]
    if not wanted:
        return ()
    if container.network_mode in {"host", "none"}:
        return (
            Text.of(
                gettext_noop("Published ports are discarded when using {mode} network mode."),
                mode=container.network_mode,
            ),
        )
    _add(container, wanted)
    if all(endpoint.network.internal for endpoint in container.endpoints.select_related("network")):
        return (Text.of(gettext_noop("All networks of the container are internal: its ports are not published.")),)
    return ()


def _add(container: Container, requests: Sequence[PortRequest]) -> None:
    first = next_activation(container.host, len(requests))
    binding = _default_address(container)
    # Docker programs a list of ports from the highest down; the order is kept as activation numbers.
    ordered = sorted(requests, key=lambda r: (-r.container_port, r.protocol, -r.host_port))
    rows = [
        PublishedPort(
            container=container,
            protocol=request.protocol,
            host_address=str(request.host_address or binding),
            wanted_host_port=request.host_port,
            container_port=request.container_port,
            allowed_sources=[str(source) for source in request.allowed_sources],
            activation=first + number,
        )
        for number, request in enumerate(ordered)
    ]
    for row in rows:
        if row.host_address in {"0.0.0.0", "::"}:  # noqa: S104  # a request for every address, compared and not bound
            row.host_address = "" if row.host_address == "0.0.0.0" else row.host_address  # noqa: S104
    _check_own(rows)
    taken = ports_taken(container.host)
    for row in rows:
        if row.wanted_host_port:
            _check_free(row, taken, load_facts(container.host), container)
    PublishedPort.objects.bulk_create(rows)


def _default_address(container: Container) -> str:
    first = container.endpoints.filter(removing=False).select_related("network").first()
    key = "com.docker.network.bridge.host_binding_ipv4"
    return str(first.network.options.get(key, "")) if first else ""


def assign_ports(container: Container) -> None:
    """Settle the host port of every published port of a container that starts. Raises :class:`Conflict` with the holder."""
    rows = list(container.ports.filter(removing=False))
    if not rows:
        return
    facts, taken = load_facts(container.host), ports_taken(container.host, besides=container)
    for row in rows:
        if row.wanted_host_port:
            _check_free(row, taken, facts, container)
            row.host_port = row.wanted_host_port
        elif not row.host_port or _holders(row, row.host_port, taken):
            row.host_port = _free_port(row, taken, facts)
        taken.setdefault((row.protocol, row.host_port), set()).add(row.host_address)
    PublishedPort.objects.bulk_update(rows, ["host_port"])


def ports_taken(host: Host, besides: Container | None = None) -> Taken:
    """The host ports that containers on *host* hold, *besides* aside."""
    taken: Taken = {}
    rows = PublishedPort.objects.filter(container__host=host, container__wanted="running").exclude(host_port=0)
    for protocol, port, address in rows.exclude(container=besides).values_list("protocol", "host_port", "host_address"):
        taken.setdefault((protocol, port), set()).add(address)
    return taken


def _holders(row: PublishedPort, port: int, taken: Taken) -> set[str]:
    """The addresses of *taken* that collide with publishing *row* on *port*: a wildcard collides with all of its family."""
    return {address for address in taken.get((row.protocol, port), ()) if collide(address, row.host_address)}


def collide(one: str, other: str) -> bool:
    """Whether two host addresses ("" is every address) hold a common one."""
    if one == other or not one or not other:
        return True
    first, second = ip_address(one), ip_address(other)
    return first.version == second.version and (first.is_unspecified or second.is_unspecified)


def _check_free(row: PublishedPort, taken: Taken, facts: HostFacts, container: Container) -> None:
    port = row.wanted_host_port
    if _holders(row, port, taken):
        held = PublishedPort.objects.filter(
            container__host=container.host, protocol=row.protocol, host_port=port, container__wanted="running"
        ).exclude(container=container)
        holder = held.select_related("container").first()
        raise _port_taken(row, port, f"container {holder.container.name}" if holder else "this container")
    for listener in facts.listeners:
        if (listener.protocol, listener.port) == (row.protocol, port) and collide(
            _plain(listener.address), row.host_address
        ):
            raise _port_taken(row, port, listener.process or gettext_noop("another program"))


def _plain(address: str) -> str:
    return "" if address in {"0.0.0.0", "::", "*"} else address  # noqa: S104  # compared, not bound


def _port_taken(row: PublishedPort, port: int, holder: str) -> Conflict:
    return Conflict(
        gettext_noop("The host port {port}/{protocol} is held by {holder}."),
        remedy=gettext_noop("Choose another host port or address, or stop {holder}."),
        field="ports",
        port=port,
        protocol=row.protocol,
        holder=holder,
    )


def _free_port(row: PublishedPort, taken: Taken, facts: HostFacts) -> int:
    low, high = facts.local_ports
    held = {(item.protocol, item.port) for item in facts.listeners} | {
        (row.protocol, port) for port in facts.reserved_ports
    }
    for port in range(low, high + 1):
        if (row.protocol, port) not in held and not _holders(row, port, taken):
            return port
    raise Exhausted(
        gettext_noop("No {protocol} port from {low} to {high} is free on the host."),
        remedy=gettext_noop("Name a host port, or stop containers that publish ports."),
        field="ports",
        protocol=row.protocol,
        low=low,
        high=high,
    )


def _check_own(rows: Iterable[PublishedPort]) -> None:
    taken: Taken = {}
    for row in rows:
        if row.wanted_host_port and _holders(row, row.wanted_host_port, taken):
            raise _port_taken(row, row.wanted_host_port, gettext_noop("another port of this request"))
        taken.setdefault((row.protocol, row.wanted_host_port), set()).add(row.host_address)
