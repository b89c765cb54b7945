"""Driver options in Docker's spelling (``com.docker.network.…``), read into typed values and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from .errors import InvalidSpec
from .names import INTERFACE_NAME
from .text import gettext_noop

_BRIDGE = "com.docker.network.bridge."
_DRIVER = "com.docker.network.driver."
GATEWAY_MODES = ("nat", "nat-unprotected", "routed", "isolated")
MAX_MTU = 65535
MIN_MTU = 68
"""The least MTU of an IPv4 link (RFC 791 section 3.2); an IPv6 network needs 1280 (RFC 8200 section 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """The options of a bridge network; a default means: as Docker does where nothing is said."""

    bridge_name: str = ""
    icc: bool = True
    masquerade: bool = True
    mtu: int = 0
    """0: the host's default."""
    host_binding: IPv4Address | IPv6Address | None = None
    gateway_mode_ipv4: str = "nat"
    gateway_mode_ipv6: str = "nat"
    inhibit_ipv4: bool = False
    host_ipv4: IPv4Address | None = None
    """A fixed source address for outgoing traffic instead of MASQUERADE."""
    host_ipv6: IPv6Address | None = None
    default_bridge: bool = False
    iface_prefix: str = "eth"


_KEYS = {
    "bridge_name": _BRIDGE + "name",
    "icc": _BRIDGE + "enable_icc",
    "masquerade": _BRIDGE + "enable_ip_masquerade",
    "mtu": _DRIVER + "mtu",
    "host_binding": _BRIDGE + "host_binding_ipv4",
    "gateway_mode_ipv4": _BRIDGE + "gateway_mode_ipv4",
    "gateway_mode_ipv6": _BRIDGE + "gateway_mode_ipv6",
    "inhibit_ipv4": _BRIDGE + "inhibit_ipv4",
    "host_ipv4": "com.docker.network.host_ipv4",
    "host_ipv6": "com.docker.network.host_ipv6",
    "default_bridge": _BRIDGE + "default_bridge",
    "iface_prefix": "com.docker.network.container_iface_prefix",
}
_FIELDS = {key: name for name, key in _KEYS.items()}


ENDPOINT_IFNAME = "com.docker.network.endpoint.ifname"
MAX_PREFIX = 12
"""Characters of an interface prefix: three of the kernel's fifteen are left to the number."""


def read_endpoint_options(options: Mapping[str, str], field: str = "driver_opts") -> str:
    """The interface name that an endpoint's options ask for; empty where they do not. Raises :class:`InvalidSpec`."""
    for key in options:
        if key != ENDPOINT_IFNAME:
            raise InvalidSpec(
                gettext_noop("The endpoint option {key} is not known."),
                remedy=gettext_noop("Known options are {known}."),
                field=f"{field}.{key}",
                key=key,
                known=ENDPOINT_IFNAME,
            )
    name = options.get(ENDPOINT_IFNAME, "")
    if name and (not INTERFACE_NAME.match(name) or name == "lo"):
        raise InvalidSpec(
            gettext_noop("{value} is not a name of an interface."),
            remedy=gettext_noop("Give a letter, then letters, digits, dots or dashes; 15 at most, and not lo."),
            field=f"{field}.{ENDPOINT_IFNAME}",
            value=repr(name),
        )
    return name


def option_name(key: str) -> str:
    """The field of :class:`NetworkOptions` that *key* is Docker's spelling of; empty for an unknown one."""
    return _FIELDS.get(key, "")


def read_options(options: Mapping[str, str]) -> NetworkOptions:
    """Typed options from Docker's spelling. Raises :class:`InvalidSpec` naming ``options.<key>``."""
    values = {}
    for key, value in options.items():
        name = _FIELDS.get(key)
        if name is None:
            raise InvalidSpec(
                gettext_noop("The option {key} is not known."),
                remedy=gettext_noop("Known options are {known}."),
                field=f"options.{key}",
                key=key,
                known=", ".join(sorted(_FIELDS)),
            )
        values[name] = _read(name, key, str(value))
    return NetworkOptions(**values)  # type: ignore[arg-type]  # each reader returns its field's type


def _read(name: str, key: str, value: str) -> object:
    if name in {"icc", "masquerade", "inhibit_ipv4", "default_bridge"}:
        return _read_bool(key, value)
    if name == "mtu":
        return _read_mtu(key, value)
    if name in {"host_binding", "host_ipv4", "host_ipv6"}:
        return _read_address(name, key, value)
    if name.startswith("gateway_mode"):
        if value not in GATEWAY_MODES:
            raise _bad(key, value, ", ".join(GATEWAY_MODES))
        return value
    if name == "iface_prefix" and len(value) > MAX_PREFIX:
        raise _bad(key, value, gettext_noop("an interface name of at most 12 characters"))
    if not INTERFACE_NAME.match(value):
        raise _bad(
            key, value, gettext_noop("an interface name: a letter, then letters, digits, dots, dashes; 15 at most")
        )
    return value


def _read_bool(key: str, value: str) -> bool:
    # Go's strconv.ParseBool, which Docker uses for these labels.
    if value in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if value in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise _bad(key, value, "true, false")


def _read_mtu(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()) or not (int(value) == 0 or MIN_MTU <= int(value) <= MAX_MTU):
        raise _bad(key, value, f"0, {MIN_MTU}-{MAX_MTU}")
    return int(value)


def _read_address(name: str, key: str, value: str) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(value)
    except ValueError:
        raise _bad(key, value, gettext_noop("an IP address")) from None
    wanted = {"host_ipv4": 4, "host_ipv6": 6}.get(name)
    if wanted and address.version != wanted:
        raise _bad(key, value, f"IPv{wanted}")
    return address


def _bad(key: str, value: str, allowed: str) -> InvalidSpec:
    return InvalidSpec(
        gettext_noop("{value} is not a value of {key}."),
        remedy=gettext_noop("Give one of: {allowed}."),
        field=f"options.{key}",
        key=key,
        value=repr(value),
        allowed=allowed,
    )
