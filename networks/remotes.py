"""What a host has to know of the others: who is where on the networks that span hosts."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address, ip_interface
from typing import Any

from django.db.models import Min

from .cnm.addresses import AnyAddress
from .cnm.desired import RemoteEndpoint
from .cnm.names import endpoint_names
from .models import Endpoint, Host
from .models.choices import Wanted

_COLUMNS = (
    "id",
    "network_id",
    "mac",
    "ipv4",
    "ipv6",
    "aliases",
    "container_id",
    "container__name",
    "container__spec",
    "container__host__name",
    "container__host__underlay",
)


def remotes_of(host: Host, networks: Collection[str]) -> tuple[RemoteEndpoint, ...]:
    """The live endpoints of other hosts on *networks* (ids). One query, however many there are.

    A container whose run is over, or could not be brought up, is not live: see ``networks.load.is_live``.
    """
    rows = (
        Endpoint.objects.filter(network__in=networks, removing=False, withheld=False)
        .filter(container__wanted=Wanted.RUNNING)
        .exclude(container__host=host)
        .exclude(container__host__underlay="")
        .exclude(ipv4="", ipv6="")
        .order_by("id")
    )
    of_run = ("container__generation", "container__restart_count", "container__exited_run", "container__failed_run")
    found = []
    for row in rows.values(*_COLUMNS, *of_run):
        run = f"{row['container__generation']}.{row['container__restart_count']}"
        if run not in {row["container__exited_run"], row["container__failed_run"]}:
            found.append(_remote(row))
    return tuple(found)


def _remote(row: dict[str, Any]) -> RemoteEndpoint:
    spec = row["container__spec"]
    named = endpoint_names(row["container__name"], row["aliases"], row["container_id"], spec.get("hostname", ""))
    return RemoteEndpoint(
        id=row["id"],
        network_id=row["network_id"],
        container_id=row["container_id"],
        host=row["container__host__name"],
        underlay=ip_address(row["container__host__underlay"]),
        mac=row["mac"],
        addresses=tuple(ip_interface(text).ip for text in (row["ipv4"], row["ipv6"]) if text),
        names=named,
        ports=tuple(sorted((int(port), protocol) for port, protocol in spec.get("exposed_ports", ()))),
    )


def nodes() -> tuple[tuple[str, AnyAddress], ...]:
    """The hosts that others reach, by name: (name, underlay address)."""
    rows = Host.objects.exclude(underlay="").order_by("name").values_list("name", "underlay")
    return tuple((name, ip_address(underlay)) for name, underlay in rows)


def least_room() -> int:
    """The largest packet of an overlay network that every known host's underlay carries whole; 0: nothing is known of any."""
    return Host.objects.exclude(underlay_room=0).aggregate(least=Min("underlay_room"))["least"] or 0
