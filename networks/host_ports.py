"""Which host ports are free for which published port: read by the services that decide, and by the worker that loses a race."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_address

from django.db.models import QuerySet

from . import feed
from .cnm.facts import HostFacts
from .composed import composed
from .models import Container, Endpoint, Host, Network, PublishedPort
from .models.network import GLOBAL

Taken = dict[tuple[str, int], set[str]]
"""(protocol, port) -> addresses ("" is every address) that hold it."""
BINDING = "com.docker.network.bridge.host_binding_ipv4"


def _held(host: int, besides: str) -> QuerySet[PublishedPort]:
    rows = PublishedPort.objects.filter(container__host=host, container__wanted="running").exclude(host_port=0)
    return rows.exclude(container=besides).order_by()


_COLUMNS = ("protocol", "host_port", "host_address", "container_id")
_OF_RUN = ("container__exited_run", "container__generation", "container__restart_count")
_taken = composed(lambda host, besides: _held(host, besides).values_list(*_COLUMNS, *_OF_RUN))
_with_binding = composed(
    lambda host: Network.objects.filter(host=host, options__has_key=BINDING).values_list("pk", flat=True)
)


def ports_taken(host: Host, besides: Container | None = None) -> Taken:
    """The host ports that containers on *host* hold, *besides* aside."""
    taken: Taken = {}
    bindings = _bindings(host)
    for protocol, port, address, container, exited, *run in _taken(host.pk, _id(besides)):
        if exited != "{}.{}".format(*run):
            taken.setdefault((protocol, port), set()).add(address or bindings.get(container, ""))
    return taken


def ports_held(host: Host, besides: Container | None = None) -> Iterator[PublishedPort]:
    """Their rows: also those of failed containers, which may be repaired, but of none that ended by itself."""
    of_container = (f"container__{column}" for column in ("name", "exited_run", "generation", "restart_count"))
    rows = _held(host.pk, _id(besides)).select_related("container")
    for row in rows.only("protocol", "host_port", "host_address", *of_container):
        if row.container.exited_run != row.container.run:
            yield row


def _id(container: Container | None) -> str:
    return container.pk if container is not None else ""


def published_on(endpoints: Iterable[Endpoint]) -> str:
    """Where a container with these endpoints publishes ports that name no address; "" is everywhere.

    The default of the network that is its way outside, in the order in which compile chooses it.
    """
    live = [endpoint for endpoint in endpoints if not endpoint.removing and endpoint.network.scope != GLOBAL]
    first = min(live, key=lambda e: (-e.gw_priority, e.network.internal, e.network.name), default=None)
    return plain(str(first.network.options.get(BINDING, "")), ("0.0.0.0",)) if first is not None else ""  # noqa: S104


def binding_of(container: Container) -> str:
    """The same for a container's row."""
    return published_on(container.endpoints.select_related("network"))


def _bindings(host: Host) -> dict[str, str]:
    """Container id -> the same, for all containers of *host*; nothing where no network has a default of its own."""
    if not _with_binding(host.pk):
        return {}
    endpoints: dict[str, list[Endpoint]] = defaultdict(list)
    for endpoint in Endpoint.objects.filter(container__host=host).select_related("network"):
        endpoints[endpoint.container_id].append(endpoint)
    return {container: published_on(found) for container, found in endpoints.items()}


def plain(address: str, everywhere: Collection[str] = ("0.0.0.0", "::", "*")) -> str:  # noqa: S104  # compared, not bound
    """*address*, or "" where it is one of *everywhere*."""
    return "" if address in everywhere else address


def holders(protocol: str, address: str, port: int, taken: Taken) -> set[str]:
    """The addresses of *taken* that collide with *port* of *address*: a wildcard collides with all of its family."""
    return {other for other in taken.get((protocol, port), ()) if collide(other, address)}


def collide(one: str, other: str) -> bool:
    """Whether two host addresses ("" is every address) hold a common one."""
    if one == other or not one or not other:
        return True
    first, second = ip_address(one), ip_address(other)
    return first.version == second.version and (first.is_unspecified or second.is_unspecified)


def is_fixed(row: PublishedPort) -> bool:
    """Whether *row* names its one host port."""
    return bool(row.wanted_host_port) and not row.wanted_host_port_end


def bounds(row: PublishedPort, facts: HostFacts) -> tuple[int, int]:
    """The first and last host port that *row* may have."""
    if row.wanted_host_port:
        return row.wanted_host_port, row.wanted_host_port_end or row.wanted_host_port
    return facts.local_ports


def free_ports(row: PublishedPort, address: str, taken: Taken, facts: HostFacts) -> Iterator[int]:
    """The host ports that *row* may have on *address* and nobody is known to hold, the lowest first."""
    low, high = bounds(row, facts)
    held = {
        item.port for item in facts.listeners if item.protocol == row.protocol and collide(plain(item.address), address)
    }
    held.update(() if row.wanted_host_port else facts.reserved_ports)
    for port in range(low, high + 1):
        if port not in held and not holders(row.protocol, address, port, taken):
            yield port


def move_on(host: Host, port_id: str, refused: Collection[int], facts: HostFacts) -> bool:
    """Give a published port whose host port somebody else turned out to hold the next free one; whether there is one.

    *refused* are the host ports that were tried. What a person named stays as it is.
    """
    with feed.transaction("worker"):
        row = PublishedPort.objects.select_related("container__host").filter(pk=port_id).first()
        if row is None or is_fixed(row):
            return False
        address = row.host_address or binding_of(row.container)
        taken = ports_taken(host)
        taken.setdefault((row.protocol, row.host_port), set()).add(address)
        found = next((port for port in free_ports(row, address, taken, facts) if port not in refused), None)
        if found is None:
            return False
        row.host_port = found
        row.save(update_fields=["host_port"])
        return True
