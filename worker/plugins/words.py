"""The protocol's words, both ways: what a plugin is told of a resource, and what its answers mean. Pure.

As libnetwork has them (``drivers/remote/api``, ``ipams/remote/api``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from networks.cnm.addresses import AnyAddress, AnyNetwork
from networks.cnm.desired import Joined
from networks.cnm.names import INTERFACE_NAME
from networks.cnm.plugin_resources import (
    AddressPool,
    PluginAllocation,
    PluginEndpoint,
    PluginJoin,
    PluginNetwork,
    PluginNode,
    PluginPorts,
)

GENERIC = "com.docker.network.generic"
ENABLE_IPV6 = "com.docker.network.enable_ipv6"
INTERNAL = "com.docker.network.internal"
EXPOSED_PORTS = "com.docker.network.endpoint.exposedports"
PORT_MAP = "com.docker.network.portmap"
GATEWAY = "com.docker.network.gateway"
MAC_ADDRESS = "com.docker.network.endpoint.macaddress"
REQUEST_TYPE = "RequestAddressType"
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "sctp": 132}
"""Numbers of protocols (IANA), which the protocol of plugins has instead of names."""
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}\Z", re.IGNORECASE)
PREFIX = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,11}\Z")
"""Room for a number is left, of the fifteen characters that a name of an interface may have."""
NODE_DISCOVERY = 1
"""``DiscoveryType`` of a host (libnetwork ``discoverapi.NodeDiscovery``)."""
CONNECTED = 1
"""``RouteType`` of a route without a next hop (libnetwork ``types.CONNECTED``)."""


class Nonsense(ValueError):
    """An answer that is JSON, and not what the protocol says."""


def without_gateways(network: PluginNetwork, answer: Mapping[str, Any]) -> PluginNetwork:
    """*network* as it is told to a plugin that answered ``GwAllocCheck`` so: without the gateways that nobody asked for, of the families
    that it needs none of. Raises Nonsense."""
    skipped = {version: answer.get(f"SkipIPv{version}") or False for version in (4, 6)}
    if not all(isinstance(value, bool) for value in skipped.values()):
        raise Nonsense(f"SkipIPv4 and SkipIPv6 are {skipped}")

    def kept(subnet: str, gateway: str) -> str:
        return "" if subnet in network.chosen_gateways and skipped[ip_network(subnet).version] else gateway

    subnets = tuple((subnet, kept(subnet, gateway), reserved) for subnet, gateway, reserved in network.subnets)
    return replace(network, subnets=subnets)


def network_said(network: PluginNetwork, space: str) -> dict[str, Any]:
    """The body of ``CreateNetwork``, whose options are those of ``GwAllocCheck``, too. *space*: the address space of its subnets."""
    options: dict[str, Any] = {ENABLE_IPV6: network.ipv6, GENERIC: dict(network.options)}
    if network.internal:
        options[INTERNAL] = True
    return {"NetworkID": network.network_id, "Options": options, **_ranges_said(network, space)}


def allocation_said(network: PluginAllocation, space: str) -> dict[str, Any]:
    """The body of ``AllocateNetwork``, whose options are text alone."""
    return {"NetworkID": network.network_id, "Options": dict(network.options), **_ranges_said(network, space)}


def _ranges_said(network: PluginNetwork | PluginAllocation, space: str) -> dict[str, Any]:
    data = [
        {"AddressSpace": space, "Pool": subnet, "Gateway": gateway, "AuxAddresses": dict(reserved)}
        for subnet, gateway, reserved in network.subnets
    ]
    return {
        "IPv4Data": [item for item in data if ":" not in item["Pool"]],
        "IPv6Data": [item for item in data if ":" in item["Pool"]],
    }


def node_said(node: PluginNode) -> dict[str, Any]:
    """The body of ``DiscoverNew`` and of ``DiscoverDelete``."""
    return {"DiscoveryType": NODE_DISCOVERY, "DiscoveryData": {"Address": node.address, "self": node.own}}


def endpoint_said(endpoint: PluginEndpoint, mac: str) -> dict[str, Any]:
    """The body of ``CreateEndpoint``. *mac*: the one that is given, whoever chose it."""
    return {
        "NetworkID": endpoint.network_id,
        "EndpointID": endpoint.endpoint_id,
        "Interface": {"Address": endpoint.ipv4, "AddressIPv6": endpoint.ipv6, "MacAddress": mac},
        "Options": dict(endpoint.options),
    }


def join_said(join: PluginJoin, sandbox_key: str) -> dict[str, Any]:
    """The body of ``Join``."""
    return {
        "NetworkID": join.network_id,
        "EndpointID": join.endpoint_id,
        "SandboxKey": sandbox_key,
        "Options": dict(join.options),
    }


def ports_said(ports: PluginPorts) -> dict[str, Any]:
    """The body of ``ProgramExternalConnectivity``."""
    bindings = [
        {
            "Proto": PROTOCOLS.get(protocol, 0),
            "IP": "",
            "Port": int(port),
            "HostIP": host_address,
            "HostPort": int(host_port),
            "HostPortEnd": int(host_port),
        }
        for protocol, host_address, host_port, port in ports.ports
    ]
    exposed = [{"Proto": PROTOCOLS.get(protocol, 0), "Port": int(port)} for port, protocol in ports.exposed]
    return {
        "NetworkID": ports.network_id,
        "EndpointID": ports.endpoint_id,
        "Options": {PORT_MAP: bindings, EXPOSED_PORTS: exposed},
    }


def ids_said(value: PluginEndpoint | PluginJoin | PluginPorts) -> dict[str, Any]:
    """The body of all calls that name an endpoint and nothing else."""
    return {"NetworkID": value.network_id, "EndpointID": value.endpoint_id}


def pool_said(pool: AddressPool, space: str, subnet: str) -> dict[str, Any]:
    """The body of ``RequestPool`` for *subnet*; empty: any."""
    return {
        "AddressSpace": space,
        "Pool": subnet,
        "SubPool": pool.sub_pool,
        "Options": dict(pool.options),
        "V6": pool.version == "6",
    }


def address_said(pool_id: str, address: str, options: Mapping[str, str]) -> dict[str, Any]:
    """The body of ``RequestAddress`` for *address*; empty: any."""
    return {"PoolID": pool_id, "Address": address, "Options": dict(options)}


def read_allocation(answer: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """What a network's options are on all hosts, by ``AllocateNetwork``: those that it answers, else those that were *given*. Raises
    Nonsense."""
    options = _object(answer, "Options")
    return {str(key): _text(options, key) for key in sorted(options)} or dict(given)


def read_pool_id(answer: Mapping[str, Any]) -> str:
    """The number by which the plugin knows the pool of a ``RequestPool``. Raises Nonsense."""
    number = _text(answer, "PoolID")
    if not number:
        raise Nonsense("it names no PoolID")
    return number


def read_pool(answer: Mapping[str, Any], version: str) -> tuple[str, str]:
    """(subnet, gateway with prefix if the plugin names one) of a ``RequestPool``. Raises Nonsense."""
    text = _text(answer, "Pool")
    try:
        subnet = ip_network(text)
    except ValueError:
        raise Nonsense(f"Pool {text!r} is no range of addresses") from None
    if str(subnet.version) != version:
        raise Nonsense(f"Pool {text} is none of IPv{version}")
    gateway = str(_object(answer, "Data").get(GATEWAY) or "")
    return str(subnet), _in_subnet(gateway, subnet, "gateway") if gateway else ""


def read_address(answer: Mapping[str, Any], subnet: str, asked: str) -> tuple[str, str]:
    """The address with the prefix of its *subnet* that ``RequestAddress`` gave; and in the plugin's own spelling, in which it is given
    back. Raises Nonsense."""
    text = _text(answer, "Address")
    if not text:
        raise Nonsense("it names no Address")
    found = _in_subnet(text, ip_network(subnet), "Address")
    if asked and found.partition("/")[0] != asked:
        raise Nonsense(f"{asked} was asked for, and it gave {found}")
    return found, text.partition("/")[0]


def read_endpoint(answer: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, str]:
    """What ``CreateEndpoint`` settled that was left open: ``ipv4``, ``ipv6``, ``mac``, each as it is from now on. Raises Nonsense, also
    where it answers a field that was given."""
    given, made = said["Interface"], _object(answer, "Interface")
    result = {}
    for name, key in (("ipv4", "Address"), ("ipv6", "AddressIPv6"), ("mac", "MacAddress")):
        text = _text(made, key)
        if text and given[key]:
            raise Nonsense(f"{key} was given as {given[key]}, and it answers {text}")
        result[name] = _checked(name, text) or given[key]
    return result


def read_join(answer: Mapping[str, Any]) -> Joined:
    """What ``Join`` answered. Raises Nonsense."""
    names = _object(answer, "InterfaceName")
    source, prefix = _text(names, "SrcName"), _text(names, "DstPrefix")
    if not INTERFACE_NAME.match(source) or source == "lo":
        raise Nonsense(f"InterfaceName.SrcName {source!r} is no name of an interface")
    if prefix and not PREFIX.match(prefix):
        raise Nonsense(f"InterfaceName.DstPrefix {prefix!r} cannot begin a name of an interface")
    gateways = []
    for key, version in (("Gateway", 4), ("GatewayIPv6", 6)):
        if text := _text(answer, key):
            gateways.append(_address(text, key, version))
    routes = answer.get("StaticRoutes") or []
    if not isinstance(routes, list):
        raise Nonsense("StaticRoutes is no list")
    return Joined(
        source=source,
        prefix=prefix,
        gateways=tuple(gateways),
        routes=tuple(_routes(routes)),
        closed=answer.get("DisableGatewayService") is True,
    )


def _routes(items: Iterable[Any]) -> Iterable[tuple[AnyNetwork, AnyAddress | None]]:
    for item in items:
        if not isinstance(item, Mapping):
            raise Nonsense("a static route is no object")
        text = _text(item, "Destination")
        try:
            destination = ip_network(text, strict=False)
        except ValueError:
            raise Nonsense(f"Destination {text!r} is no range of addresses") from None
        if item.get("RouteType", 0) == CONNECTED:
            yield destination, None
        else:
            yield destination, _address(_text(item, "NextHop"), "NextHop", destination.version)


def _object(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key) or {}
    if not isinstance(found, Mapping):
        raise Nonsense(f"{key} is no object")
    return found


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise Nonsense(f"{key} is no text")
    return found or ""


def _checked(name: str, text: str) -> str:
    if not text:
        return ""
    if name == "mac":
        if not MAC.match(text):
            raise Nonsense(f"MacAddress {text!r} is none")
        return text.lower()
    try:
        found = ip_interface(text)
    except ValueError:
        raise Nonsense(f"{text!r} is no address") from None
    if "/" not in text or found.version != (4 if name == "ipv4" else 6):
        raise Nonsense(f"{text!r} is no IPv{4 if name == 'ipv4' else 6} address with a prefix")
    return str(found)


def _address(text: str, key: str, version: int) -> AnyAddress:
    try:
        found = ip_address(text.partition("/")[0])
    except ValueError:
        raise Nonsense(f"{key} {text!r} is no address") from None
    if found.version != version:
        raise Nonsense(f"{key} {text} is none of IPv{version}")
    return found


def _in_subnet(text: str, subnet: AnyNetwork, key: str) -> str:
    """*text*, an address that may have a prefix of its own, with the subnet's."""
    found = _address(text, key, subnet.version)
    if found not in subnet:
        raise Nonsense(f"{key} {text} is not in {subnet}")
    return f"{found}/{subnet.prefixlen}"
