"""``NetworkDriver.CreateNetwork`` and ``DeleteNetwork``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from networks.cnm.addresses import AnyAddress, AnyNetwork
from networks.cnm.errors import CnmError, InvalidSpec
from networks.cnm.text import gettext_noop
from networks.engine.call import Steps
from networks.services import docker_networks as services
from networks.services.body import address_value
from networks.services.spec_network import read_network

from .call import Call, Value, awake, flag_in, gone, mapping_in, range_in, real, text_in

NETWORK, NAME, DRIVER = "cnm.network", "cnm.name", "cnm.driver"
"""Options: the network here to stand on, or the name and the driver of the one that is made."""
OURS = "cnm."
GENERIC, ENABLE_IPV6, INTERNAL = (
    "com.docker.network.generic",
    "com.docker.network.enable_ipv6",
    "com.docker.network.internal",
)
"""libnetwork's ``netlabel``: where the options that a person gave are, and what else is told of a network."""


def create(call: Call) -> Steps[Value]:
    yield from awake(call)
    docker_id = call.id("NetworkID")
    options = call.mapping("Options")
    chosen = {name: text_in(mapping_in(options, GENERIC), name) for name in mapping_in(options, GENERIC)}
    _check_ours(chosen)
    ranges = [*call.objects("IPv4Data"), *call.objects("IPv6Data")]
    reference = chosen.pop(NETWORK, "")
    if reference:
        _check_alone(chosen)
        given = [(cidr, _gateway(item, cidr)) for item in ranges if (cidr := _pool(item)) is not None]
        services.use_network(call.actor, call.host, docker_id, reference, given)
        return {}
    body = {
        "name": chosen.pop(NAME, "") or f"docker-{docker_id[:12]}",
        "driver": chosen.pop(DRIVER, "") or "bridge",
        "internal": flag_in(options, INTERNAL),
        "enable_ipv6": flag_in(options, ENABLE_IPV6) or any(":" in text_in(item, "Pool") for item in ranges),
        "subnets": list(_subnets(ranges)),
        "options": chosen,
    }
    outcome = services.make_network(call.actor, call.host, docker_id, read_network(body))
    try:
        yield from real(outcome)
    except CnmError:  # the engine forgets a network that could not be made
        yield from gone(services.drop_network(call.later, call.host, docker_id))
        raise
    return {}


def delete(call: Call) -> Steps[Value]:
    yield from gone(services.drop_network(call.later, call.host, call.id("NetworkID")))
    return {}


def _check_ours(chosen: Mapping[str, str]) -> None:
    for name in chosen:
        if name.startswith(OURS) and name not in {NETWORK, NAME, DRIVER}:
            raise InvalidSpec(
                gettext_noop("The option {key} is not known."),
                remedy=gettext_noop("Known options are {known}."),
                field=name,
                key=name,
                known=", ".join((NETWORK, NAME, DRIVER)),
            )


def _check_alone(chosen: Mapping[str, str]) -> None:
    if chosen:
        raise InvalidSpec(
            gettext_noop("The network that {key} names is there already: it takes no option {other}."),
            remedy=gettext_noop("Leave the other options out, and change that network here."),
            field=NETWORK,
            key=NETWORK,
            other=", ".join(chosen),
        )


def _subnets(ranges: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """What the engine's IPAM has given, in REST's words."""
    for item in ranges:
        cidr = _pool(item)
        if cidr is None:
            continue
        gateway = _gateway(item, cidr)
        aux = mapping_in(item, "AuxAddresses")
        yield {
            "subnet": str(cidr),
            **({"gateway": str(gateway)} if gateway is not None else {}),
            "aux_addresses": {name: text_in(aux, name).partition("/")[0] for name in aux},
        }


def _pool(item: Mapping[str, Any]) -> AnyNetwork | None:
    """The range of one of ``IPv4Data`` or ``IPv6Data``; None where the engine's IPAM is ``null``, which gives 0.0.0.0/0."""
    cidr = range_in(item, "Pool")
    return cidr if cidr is not None and cidr.prefixlen else None


def _gateway(item: Mapping[str, Any], cidr: AnyNetwork) -> AnyAddress | None:
    text = text_in(item, "Gateway").partition("/")[0]
    return address_value("Gateway", text, cidr.version) if text else None
