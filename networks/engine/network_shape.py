"""Networks in Docker's shapes, both ways. Pure but for what the rows lead to."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from networks.cnm.desired import OWN_IPAM
from networks.models import Endpoint, Network
from networks.represent import BRIDGE_NAME, bridge_of

from .errors import EngineError, not_supported
from .times import rfc3339

_DEFAULT_OPTIONS = {
    "com.docker.network.bridge.default_bridge": "true",
    "com.docker.network.bridge.enable_icc": "true",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
    "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",  # noqa: S104  # Docker's own words for the default bridge
}


def described(row: Network, default_bridge: str, *, containers: bool) -> dict[str, Any]:
    """A network as ``GET /networks/{id}`` gives it; *containers*: with those that run on it."""
    options = dict(row.options)
    if row.predefined and row.driver == "bridge":
        mtu = str(row.host.facts.get("default_mtu", 1500))
        given = {BRIDGE_NAME: bridge_of(row, default_bridge), "com.docker.network.driver.mtu": mtu}
        options = {**_DEFAULT_OPTIONS, **given, **options}
    return {
        "Name": row.name,
        "Id": row.pk,
        "Created": rfc3339(row.created_at),
        "Scope": row.scope,
        "Driver": row.driver,
        "EnableIPv4": True,
        "EnableIPv6": row.enable_ipv6,
        "IPAM": {
            "Driver": row.ipam_driver,
            "Options": None if row.predefined else row.ipam_options,
            "Config": [_subnet(item) for item in row.subnets.all()],
        },
        "Internal": row.internal,
        "Attachable": row.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            item.container_id: _endpoint(item)
            for item in (row.endpoints.all() if containers else ())
            if not item.removing and (item.ipv4 or item.ipv6)
        },
        "Options": options,
        "Labels": row.labels,
    }


def _subnet(row: Any) -> dict[str, Any]:
    value = {"Subnet": row.cidr}
    if row.ip_range:
        value["IPRange"] = row.ip_range
    if row.gateway:
        value["Gateway"] = row.gateway
    return {**value, **({"AuxiliaryAddresses": row.reserved} if row.reserved else {})}


def _endpoint(row: Endpoint) -> dict[str, str]:
    return {
        "Name": row.container.name,
        "EndpointID": row.pk,
        "MacAddress": row.mac,
        "IPv4Address": row.ipv4,
        "IPv6Address": row.ipv6,
    }


def requested(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body of ``POST /networks/create`` as a body of REST's ``POST /networks``. Raises EngineError for what is not supported."""
    driver = str(body.get("Driver") or "bridge")
    if driver in {"host", "null", "none"}:
        name = "null" if driver == "none" else driver
        raise EngineError(403, f'only one instance of "{name}" network is allowed')
    for name, what in (
        ("Ingress", "an ingress network"),
        ("ConfigOnly", "a configuration-only network"),
    ):
        if body.get(name):
            raise not_supported(what)
    if (body.get("ConfigFrom") or {}).get("Network"):
        raise not_supported("a network made from another's configuration")
    if body.get("EnableIPv4") is False:
        raise not_supported("a network without IPv4")
    if body.get("Scope") not in {None, "", "local"}:
        raise not_supported(f"the scope {body['Scope']}")
    ipam = body.get("IPAM") or {}
    ipam_driver = str(ipam.get("Driver") or "default")
    if ipam.get("Options") and ipam_driver in OWN_IPAM:
        raise not_supported("an option of an IPAM driver")
    subnets = [_requested_subnet(item) for item in ipam.get("Config") or ()]
    return {
        "name": body.get("Name") or "",
        "driver": driver,
        "internal": bool(body.get("Internal")),
        "attachable": bool(body.get("Attachable")),
        "enable_ipv6": bool(body.get("EnableIPv6")),
        "subnets": [item for item in subnets if item],
        "options": body.get("Options") or {},
        "ipam_driver": ipam_driver,
        "ipam_options": ipam.get("Options") or {},
        "labels": body.get("Labels") or {},
    }


def _requested_subnet(item: Mapping[str, Any]) -> dict[str, Any]:
    subnet = str(item.get("Subnet") or "")
    if not subnet:
        if any(item.values()):
            raise not_supported("a gateway or a range without its subnet")
        return {}
    try:
        network = ip_network(subnet, strict=False)
    except ValueError:
        raise EngineError(500, f"Invalid subnet {subnet} : invalid CIDR address: {subnet}") from None
    value: dict[str, Any] = {"subnet": str(network)}  # Docker takes 10.5.0.7/24 for 10.5.0.0/24
    gateway = str(item.get("Gateway") or "")
    if gateway:
        value["gateway"] = gateway.partition("/")[0]
    if item.get("IPRange"):
        value["ip_range"] = str(item["IPRange"])
    aux = item.get("AuxiliaryAddresses") or item.get("AuxAddress")
    if aux:
        value["aux_addresses"] = dict(aux)
    return value


def attachment(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """An ``EndpointConfig`` as REST's attachment, without its network. Raises EngineError for what is not supported."""
    config = value or {}
    ipam = config.get("IPAMConfig") or {}
    if ipam.get("LinkLocalIPs"):
        raise not_supported("a link-local address of one's own choice")
    wanted = {
        "ipv4": ipam.get("IPv4Address"),
        "ipv6": ipam.get("IPv6Address"),
        "mac": config.get("MacAddress"),
        "aliases": list(dict.fromkeys(config.get("Aliases") or ())),
        "driver_opts": config.get("DriverOpts"),
        "gw_priority": config.get("GwPriority"),
    }
    return {name: item for name, item in wanted.items() if item}


def links(value: Mapping[str, Any] | None) -> list[str]:
    """The ``source:alias`` links of an ``EndpointConfig``."""
    return list(dict.fromkeys((value or {}).get("Links") or ()))
