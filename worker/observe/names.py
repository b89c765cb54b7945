"""The embedded DNS server's sandboxes and names, as the opener tells them, and as resources."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from networks.cnm.resources import Key, NameRecord, NameServer


def about(keys: list[Key]) -> dict[str, Any]:
    """The opener's words for *keys*."""
    return {
        "sandboxes": [key[1] for key in keys if key[0] == NameServer.kind],
        "names": [[key[1], key[2]] for key in keys if key[0] == NameRecord.kind],
    }


def described_server(resource: NameServer) -> dict[str, Any]:
    return {
        "sandbox": resource.sandbox,
        "networks": list(resource.networks),
        "links": [list(link) for link in resource.links],
        "servers": list(resource.servers),
        "inside": resource.inside,
        "forwards": resource.forwards,
        "keeps_single_labels": resource.keeps_single_labels,
    }


def read_server(item: dict[str, Any], *, up: bool) -> NameServer:
    """The inverse of :func:`described_server`."""
    return NameServer(
        sandbox=item["sandbox"],
        networks=tuple(item["networks"]),
        links=tuple((alias, container) for alias, container in item["links"]),
        servers=tuple(item["servers"]),
        inside=item["inside"],
        forwards=item["forwards"],
        keeps_single_labels=item["keeps_single_labels"],
        up=up,
    )


def described_record(resource: NameRecord) -> dict[str, Any]:
    return {
        "network": resource.network_id,
        "endpoint": resource.endpoint_id,
        "network_name": resource.network_name,
        "container": resource.container_id,
        "names": list(resource.names),
        "addresses": [str(address) for address in resource.addresses],
        "ports": [list(port) for port in resource.ports],
    }


def read_record(item: dict[str, Any]) -> NameRecord:
    """The inverse of :func:`described_record`."""
    return NameRecord(
        network_id=item["network"],
        endpoint_id=item["endpoint"],
        network_name=item["network_name"],
        container_id=item["container"],
        names=tuple(item["names"]),
        addresses=tuple(map(ip_address, item["addresses"])),
        ports=tuple((port, protocol) for port, protocol in item["ports"]),
    )
