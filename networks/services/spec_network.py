"""What may be asked of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from networks.cnm.addresses import AnyAddress, AnyNetwork
from networks.cnm.desired import OWN_IPAM
from networks.cnm.errors import Forbidden, InvalidSpec
from networks.cnm.names import OBJECT_NAME
from networks.cnm.options import NetworkOptions, check_option_names, read_options
from networks.cnm.plugins import PLUGIN_NAME
from networks.cnm.text import gettext_noop
from worker.drivers import driver as find_driver
from worker.drivers import is_plugin, read_network_options

from .body import Body, address_value, bad, network_value

NAME_WANTED = gettext_noop("letters, digits, dots, dashes and underscores, a letter or digit first")
MAX_SUBNETS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetRequest:
    """A subnet that is asked for."""

    subnet: AnyNetwork
    gateway: AnyAddress | None = None
    ip_range: AnyNetwork | None = None
    aux_addresses: Mapping[str, AnyAddress] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRequest:
    """A network that is asked for."""

    name: str
    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    enable_ipv6: bool = False
    subnets: tuple[SubnetRequest, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def typed_options(self) -> NetworkOptions:
        return read_network_options(self.driver, self.options)


def read_network(value: object, path: str = "") -> NetworkRequest:
    """A request to create a network. Raises :class:`InvalidSpec` naming the field."""
    body = Body(value, path)
    request = NetworkRequest(
        name=body.text("name", pattern=OBJECT_NAME, wanted=NAME_WANTED, most=128),
        driver=body.text("driver", "bridge", most=64),
        internal=body.flag("internal"),
        attachable=body.flag("attachable"),
        enable_ipv6=body.flag("enable_ipv6"),
        subnets=body.each("subnets", _subnet, most=MAX_SUBNETS),
        options=body.mapping("options", most=64),
        ipam_driver=body.text("ipam_driver", "default", most=64),
        ipam_options=body.mapping("ipam_options", most=64),
        labels=body.mapping("labels", most=256),
    )
    body.finish()
    return check_network(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChanges:
    """What should be otherwise; None: as it is."""

    labels: Mapping[str, str] | None = None
    options: Mapping[str, str | None] | None = None
    """Only those that change; a None takes an option away."""
    internal: bool | None = None
    attachable: bool | None = None
    enable_ipv6: bool | None = None
    subnets: tuple[SubnetRequest, ...] | None = None

    def given(self) -> dict[str, Any]:
        """The fields that are to change."""
        return {item.name: value for item in fields(self) if (value := getattr(self, item.name)) is not None}


_FOR_LIFE = {
    "name": gettext_noop("A network keeps its name: containers and scripts know it by it."),
    "driver": gettext_noop("A network keeps its driver: another one makes it of other devices."),
    "scope": gettext_noop("A network keeps its scope, which its driver has."),
    "ipam_driver": gettext_noop("A network keeps who gives out its addresses."),
    "ipam_options": gettext_noop("A network keeps what its addresses were asked for with."),
}


def read_changes(value: object) -> NetworkChanges:
    """A request to change a network. Raises :class:`InvalidSpec` naming the field, :class:`Forbidden` for what stays for life."""
    body = Body(value)
    for name, why in _FOR_LIFE.items():
        if body.given(name):
            remedy = gettext_noop("Make another network, and connect the containers to that.")
            raise Forbidden(why, remedy=remedy, field=name)
    changes = NetworkChanges(
        labels=body.mapping("labels", most=256) if body.given("labels") else None,
        options=_changed_options(body) if body.given("options") else None,
        internal=body.flag("internal") if body.given("internal") else None,
        attachable=body.flag("attachable") if body.given("attachable") else None,
        enable_ipv6=body.flag("enable_ipv6") if body.given("enable_ipv6") else None,
        subnets=body.each("subnets", _subnet, most=MAX_SUBNETS) if body.given("subnets") else None,
    )
    for name in (item.name for item in fields(changes)):
        body.take(name, None)
    body.finish()
    return changes


def check_changes(wanted: NetworkRequest, present: NetworkRequest) -> None:
    """Raises :class:`Forbidden` where *wanted* is otherwise than *present* in what a network keeps for life."""
    for name in ("driver", "ipam_driver", "ipam_options"):
        if getattr(wanted, name) != getattr(present, name):
            remedy = gettext_noop("Make another network, and connect the containers to that.")
            raise Forbidden(_FOR_LIFE[name], remedy=remedy, field=name)


def _changed_options(body: Body) -> dict[str, str | None]:
    raw = body.take("options")
    if not isinstance(raw, Mapping):
        return dict(body.mapping("options"))
    kept = Body({"options": {key: value for key, value in raw.items() if value is not None}}).mapping(
        "options", most=64
    )
    read_options(kept)
    return {**kept, **{key: None for key, value in raw.items() if value is None}}


def _subnet(path: str, value: object) -> SubnetRequest:
    body = Body(value, path)
    subnet = network_value(f"{path}.subnet", body.take("subnet"))
    request = SubnetRequest(
        subnet=subnet,
        gateway=body.address("gateway", subnet.version),
        ip_range=network_value(f"{path}.ip_range", body.take("ip_range")) if body.given("ip_range") else None,
        aux_addresses={
            name: address_value(f"{path}.aux_addresses.{name}", address, subnet.version)
            for name, address in body.mapping("aux_addresses", most=256).items()
        },
    )
    body.take("ip_range", None)
    body.finish()
    return check_subnet(path, request)


def check_subnet(path: str, request: SubnetRequest) -> SubnetRequest:
    """*request*, when its addresses fit together. Raises :class:`InvalidSpec` naming the field below *path*."""
    subnet = request.subnet
    if subnet.is_multicast or subnet.is_loopback or subnet.is_unspecified or subnet.num_addresses < 2:
        raise bad(
            f"{path}.subnet",
            gettext_noop("{subnet} cannot be a network of containers."),
            gettext_noop("Give a range of unicast addresses with room for at least two."),
            subnet=subnet,
        )
    if request.ip_range is not None and (
        request.ip_range.version != subnet.version or not request.ip_range.subnet_of(subnet)  # type: ignore[arg-type]
    ):
        raise bad(
            f"{path}.ip_range",
            gettext_noop("The range {ip_range} is not inside the subnet {subnet}."),
            gettext_noop("Give a part of {subnet}."),
            ip_range=request.ip_range,
            subnet=subnet,
        )
    named = [("gateway", request.gateway), *((f"aux_addresses.{n}", a) for n, a in request.aux_addresses.items())]
    for name, address in named:
        if address is not None and address not in subnet:
            raise bad(
                f"{path}.{name}",
                gettext_noop("The address {address} is not inside the subnet {subnet}."),
                gettext_noop("Give an address of {subnet}."),
                address=address,
                subnet=subnet,
            )
    taken = [address for _, address in named if address is not None]
    if len(set(taken)) != len(taken):
        raise bad(
            f"{path}.aux_addresses",
            gettext_noop("One address of {subnet} is named twice."),
            gettext_noop("Name each address once."),
            subnet=subnet,
        )
    if (
        request.gateway is not None
        and subnet.version == 4
        and subnet.prefixlen < 31
        and request.gateway in (subnet.network_address, subnet.broadcast_address)
    ):
        raise bad(
            f"{path}.gateway",
            gettext_noop("{address} is the network or broadcast address of {subnet}."),
            gettext_noop("Give another address of {subnet}."),
            address=request.gateway,
            subnet=subnet,
        )
    return request


def _check_who(request: NetworkRequest) -> None:
    """Raises :class:`InvalidSpec` where no driver, or nobody who gives addresses, could be called so, and where nobody gives any."""
    for name, value in (("driver", request.driver), ("ipam_driver", request.ipam_driver)):
        if not PLUGIN_NAME.match(value):
            raise bad(
                name,
                gettext_noop("{value} is no name of a driver."),
                gettext_noop("Give one of the drivers, or the name of a plugin."),
                value=repr(value),
            )
    if request.ipam_options and request.ipam_driver in OWN_IPAM:
        raise bad(
            "ipam_options",
            gettext_noop("Options of an IPAM driver mean something to a plugin alone."),
            gettext_noop("Leave them out, or name the plugin as ipam_driver."),
        )
    if request.ipam_driver != "null":
        return
    if not is_plugin(request.driver):
        raise bad(
            "ipam_driver",
            gettext_noop("Nobody would give the containers of this network an address."),
            gettext_noop(
                "Leave ipam_driver out; null is for networks of plugins, which may give addresses themselves."
            ),
        )
    if request.subnets:
        raise bad(
            "subnets",
            gettext_noop("A subnet is given, and nobody who gives addresses of it."),
            gettext_noop("Leave the subnets out, or ipam_driver."),
        )


def check_network(request: NetworkRequest) -> NetworkRequest:
    """*request*, whose parts fit together. Raises :class:`InvalidSpec` naming the field that does not."""
    _check_who(request)
    chosen = find_driver(request.driver)
    if chosen.attaches and not chosen.any_options:
        check_option_names(request.options, chosen.options, chosen.name)
    options = request.typed_options
    for one, subnet in enumerate(request.subnets):
        for other in request.subnets[:one]:
            if subnet.subnet.version == other.subnet.version and subnet.subnet.overlaps(other.subnet):  # type: ignore[arg-type]
                raise bad(
                    f"subnets.{one}.subnet",
                    gettext_noop("{subnet} overlaps {other}, which is given too."),
                    gettext_noop("Give ranges that do not overlap."),
                    subnet=subnet.subnet,
                    other=other.subnet,
                )
            if subnet.subnet.version == other.subnet.version and chosen.one_subnet:
                raise bad(
                    f"subnets.{one}.subnet",
                    gettext_noop("A {driver} network has one subnet of each family, and {other} is given already."),
                    gettext_noop("Give one IPv{version} subnet."),
                    driver=request.driver,
                    other=other.subnet,
                    version=subnet.subnet.version,
                )
    if any(subnet.subnet.version == 6 for subnet in request.subnets) and not request.enable_ipv6:
        raise bad(
            "enable_ipv6",
            gettext_noop("An IPv6 subnet is given, but IPv6 is not enabled."),
            gettext_noop("Set enable_ipv6 to true."),
        )
    for family in ("ipv4", "ipv6"):
        if getattr(options, f"gateway_mode_{family}") == "isolated" and not request.internal:
            raise InvalidSpec(
                gettext_noop("The gateway mode isolated is for internal networks only."),
                remedy=gettext_noop("Set internal to true, or choose another mode."),
                field=f"options.com.docker.network.bridge.gateway_mode_{family}",
            )
    if 0 < options.mtu < 1280 and request.enable_ipv6:
        raise InvalidSpec(
            gettext_noop("IPv6 needs an MTU of at least 1280, and {mtu} is given."),
            remedy=gettext_noop("Give a larger MTU."),
            field="options.com.docker.network.driver.mtu",
            mtu=options.mtu,
        )
    return request
