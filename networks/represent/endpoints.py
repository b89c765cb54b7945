"""What joins containers to networks, to the host and to each other: endpoints, published ports, links."""

from __future__ import annotations

from networks.models import Endpoint, Link, PublishedPort
from worker.drivers import driver

from .values import Json, ref


def bare_endpoint(row: Endpoint) -> Json:
    """An endpoint within its container or its network: each names the other side itself."""
    return {
        "id": row.id,
        "ipv4": row.ipv4,
        "ipv6": row.ipv6,
        "mac": row.mac,
        "aliases": row.aliases,
        "interface": row.ifname,
        "device": driver(row.network.driver).endpoint_device(row.id),
        "gw_priority": row.gw_priority,
        "sysctls": row.sysctls,
        "driver_opts": row.driver_options,
        "info": dict((row.joined or {}).get("info", ())),
    }


def endpoint(row: Endpoint) -> Json:
    """An endpoint that stands alone, with both that it joins."""
    joined = {"network": ref(row.network), "container": ref(row.container)}
    return bare_endpoint(row) | joined | {"host": row.container.host.name}


def port(row: PublishedPort, default: str = "") -> Json:
    """A published port; *default* is where those without an address of their own are published."""
    return {
        "id": row.id,
        "protocol": row.protocol,
        "host_address": row.host_address or default,
        "host_port": row.host_port,
        "container_port": row.container_port,
        "allowed_sources": row.allowed_sources,
    }


def link(row: Link) -> Json:
    """A link."""
    joined = {"recipient": ref(row.recipient), "source": ref(row.source)}
    return {"id": row.id, "alias": row.alias, "host": row.recipient.host.name, **joined}
