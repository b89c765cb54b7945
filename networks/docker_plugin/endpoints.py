"""``NetworkDriver``'s calls about endpoints: a container of the engine comes, joins, leaves and goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from networks.cnm.addresses import AnyAddress
from networks.cnm.names import inner_device
from networks.cnm.options import read_options
from networks.engine.call import Steps
from networks.load import endpoint_value, network_value
from networks.models import Endpoint
from networks.services import docker_endpoints as services
from networks.services.body import Body, address_value
from networks.services.docker_endpoints import EndpointRequest
from networks.services.spec_ports import PortRequest
from worker.drivers import driver as find_driver

from .call import Call, Value, awake, gone, malformed, number_in, objects_in, real, text_in

PORT_MAP, EXPOSED = "com.docker.network.portmap", "com.docker.network.endpoint.exposedports"
PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}
"""IANA's numbers, which libnetwork's ``types.Protocol`` has."""
MOST_KEY = 255
CONNECTED = 1
"""libnetwork's ``types.CONNECTED``: a route to what is on the link."""


def create(call: Call) -> Steps[Value]:
    yield from awake(call)
    interface = call.mapping("Interface")
    ipv4, ipv6 = (_address(interface, name, version) for name, version in (("Address", 4), ("AddressIPv6", 6)))
    mac = text_in(interface, "MacAddress")
    endpoint = services.create_endpoint(
        call.actor,
        call.host,
        EndpointRequest(
            id=call.id("EndpointID"),
            docker_network=call.id("NetworkID"),
            ipv4=ipv4,
            ipv6=ipv6,
            mac=Body({"MacAddress": mac}).mac("MacAddress") if mac else "",
            exposed_ports=tuple(sorted(set(_exposed(call.mapping("Options"))))),
        ),
    )
    return {"Interface": _what_was_not_given(endpoint, ipv4, ipv6, mac)}


def tell(call: Call) -> Value:
    """What is told of an endpoint beside its addresses: nothing."""
    call.id("NetworkID"), call.id("EndpointID")
    return {"Value": {}}


def delete(call: Call) -> Steps[Value]:
    yield from gone(services.delete_endpoint(call.later, call.host, call.id("NetworkID"), call.id("EndpointID")))
    return {}


def join(call: Call) -> Steps[Value]:
    yield from awake(call)
    key = call.text("SandboxKey")
    if not key.startswith("/") or len(key) > MOST_KEY or not key.isprintable():
        raise malformed("SandboxKey")
    outcome = services.join(call.actor, call.host, call.id("NetworkID"), call.id("EndpointID"), key)
    yield from real(outcome)
    assert isinstance(outcome.subject, Endpoint)  # noqa: S101  # the use case's word
    return _joined(outcome.subject)


def leave(call: Call) -> Steps[Value]:
    yield from gone(services.leave(call.later, call.host, call.id("NetworkID"), call.id("EndpointID")))
    return {}


def open_ports(call: Call) -> Steps[Value]:
    requests = list(_published(call.mapping("Options")))
    ids = call.id("NetworkID"), call.id("EndpointID")
    yield from real(services.open_ports(call.actor, call.host, *ids, requests))
    return {}


def close_ports(call: Call) -> Steps[Value]:
    yield from gone(services.close_ports(call.later, call.host, call.id("NetworkID"), call.id("EndpointID")))
    return {}


def _what_was_not_given(endpoint: Endpoint, ipv4: AnyAddress | None, ipv6: AnyAddress | None, mac: str) -> Value:
    """An engine refuses a driver that names what it was given."""
    subnets = [ip_network(cidr) for cidr in endpoint.network.subnets.values_list("cidr", flat=True)]

    def whole(address: str) -> str:
        return f"{address}/{next((one.prefixlen for one in subnets if ip_address(address) in one), None)}"

    said = {
        "Address": whole(endpoint.wanted_ipv4) if endpoint.wanted_ipv4 and ipv4 is None else "",
        "AddressIPv6": whole(endpoint.wanted_ipv6) if endpoint.wanted_ipv6 and ipv6 is None else "",
        "MacAddress": "" if mac else endpoint.wanted_mac,
    }
    return {name: value for name, value in said.items() if value}


def _joined(endpoint: Endpoint) -> Value:
    network, value = network_value(endpoint.network), endpoint_value(endpoint)
    chosen = find_driver(network.driver)
    leads_out = chosen.leads_out and not network.internal
    gateways = [
        str(chosen.gateway(network, value, interface) or "") if interface is not None and leads_out else ""
        for interface in (value.ipv4, value.ipv6)
    ]
    prefix = read_options(endpoint.network.options).iface_prefix
    return {
        "InterfaceName": {"SrcName": inner_device(endpoint.pk), "DstPrefix": prefix},
        "Gateway": gateways[0],
        "GatewayIPv6": gateways[1],
        "StaticRoutes": [
            {"Destination": str(subnet), "RouteType": CONNECTED} for subnet in chosen.on_link(network, value)
        ],
        "DisableGatewayService": network.internal,
    }


def _address(interface: Mapping[str, Any], name: str, version: int) -> AnyAddress | None:
    text = text_in(interface, name).partition("/")[0]
    return address_value(name, text, version) if text else None


def _exposed(options: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    for item in objects_in(options, EXPOSED):
        yield number_in(item, "Port"), _protocol(item)


def _published(options: Mapping[str, Any]) -> Iterator[PortRequest]:
    """The engine's ``PortBinding``s (libnetwork, ``types``)."""
    for item in objects_in(options, PORT_MAP):
        host, last = number_in(item, "HostPort"), number_in(item, "HostPortEnd")
        address = text_in(item, "HostIP")
        yield PortRequest(
            container_port=number_in(item, "Port"),
            host_port=host,
            host_port_end=last if last > host else 0,
            host_address=address_value("HostIP", address) if address else None,
            protocol=_protocol(item),
        )


def _protocol(item: Mapping[str, Any]) -> str:
    known = PROTOCOLS.get(number_in(item, "Proto"))
    if known is None:
        raise malformed("Proto")
    return known
