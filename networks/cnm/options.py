"""Driver options in Docker's spelling (``com.docker.network.…``), read into typed values and back."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from .errors import InvalidSpec
from .names import INTERFACE_NAME
from .text import Text, gettext_noop

DOCKERS_OWN = "com.docker.network."
"""What the names of Docker's own options begin with: none of them is a plugin's."""
_BRIDGE = "com.docker.network.bridge."
_DRIVER = "com.docker.network.driver."
VXLAN_ID = _DRIVER + "overlay.vxlanid_list"
FIRST_VNI, LAST_VNI = 4096, (1 << 24) - 1
"""The numbers that overlay networks may have, as in Docker: 24 bits (RFC 7348 section 5), the low ones left to VLANs."""
GATEWAY_MODES = ("nat", "nat-unprotected", "routed", "isolated")
MODES = {
    "macvlan_mode": ("bridge", "private"),
    "ipvlan_mode": ("l2", "l3", "l3s"),
    "ipvlan_flag": ("bridge", "private", "vepa"),
    "gateway_mode_ipv4": GATEWAY_MODES,
    "gateway_mode_ipv6": GATEWAY_MODES,
}
"""Option -> what it may be."""
LAST_VLAN = 4094
"""VLANs are numbered from 1 (IEEE 802.1Q: 0 and 4095 are none)."""
MAX_MTU = 65535
MIN_MTU = 68
"""The least MTU of an IPv4 link (RFC 791 section 3.2); an IPv6 network needs 1280 (RFC 8200 section 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """The options of a network, of every driver; a default means: as Docker does where nothing is said.

    A driver takes some of them (``Driver.options``) and nobody gives it others.
    """

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
    trusted_interfaces: tuple[str, ...] = ()
    """Devices of the host from which the containers' own addresses may be reached."""
    vnis: tuple[int, ...] = ()
    """The numbers of an overlay network's segments, in the order of its subnets; those that are missing are the next free ones."""
    encrypted: bool = False
    """Whether an overlay network's packets are to be encrypted between hosts."""
    parent: str = ""
    """The device of the host that a macvlan or ipvlan network stands on; of a VLAN ``<device>.<VLAN id>``."""
    macvlan_mode: str = "bridge"
    ipvlan_mode: str = "l2"
    ipvlan_flag: str = "bridge"


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
    "trusted_interfaces": _BRIDGE + "trusted_host_interfaces",
    "vnis": VXLAN_ID,
    "encrypted": "encrypted",
    "parent": "parent",
    "macvlan_mode": "macvlan_mode",
    "ipvlan_mode": "ipvlan_mode",
    "ipvlan_flag": "ipvlan_flag",
}
_FIELDS = {key: name for name, key in _KEYS.items()}


ENDPOINT_IFNAME = "com.docker.network.endpoint.ifname"
ENDPOINT_SYSCTLS = "com.docker.network.endpoint.sysctls"
ENDPOINT_KEYS = (ENDPOINT_IFNAME, ENDPOINT_SYSCTLS)
IFNAME = "IFNAME"
"""What stands for the interface's name in a sysctl of an endpoint, as in Docker."""
_INTERFACE_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.(conf|neigh)\.IFNAME\.([a-z0-9_]{1,64})\Z")
_NUMBER = re.compile(r"(0|-?[1-9][0-9]{0,9})\Z")
_VLAN = re.compile(r"(.+)\.(0|[1-9][0-9]{0,9})\Z")
MAX_SYSCTLS = 32
MAX_TRUSTED = 16
MAX_PREFIX = 12
"""Characters of an interface prefix: three of the kernel's fifteen are left to the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """The options of an endpoint."""

    ifname: str = ""
    """The interface's name in the sandbox; empty: the network's prefix and a number."""
    sysctls: tuple[tuple[str, str], ...] = ()
    """(``net.ipv4.conf.IFNAME.log_martians``, value): settings of the interface in the sandbox."""


def read_endpoint_options(options: Mapping[str, str], field: str = "driver_opts") -> EndpointOptions:
    """What an endpoint's options ask for. Raises :class:`InvalidSpec`."""
    for key in options:
        if key not in ENDPOINT_KEYS:
            raise InvalidSpec(
                gettext_noop("The endpoint option {key} is not known."),
                remedy=gettext_noop("Known options are {known}."),
                field=f"{field}.{key}",
                key=key,
                known=", ".join(ENDPOINT_KEYS),
            )
    name = options.get(ENDPOINT_IFNAME, "")
    if name and (not INTERFACE_NAME.match(name) or name == "lo"):
        raise InvalidSpec(
            gettext_noop("{value} is not a name of an interface."),
            remedy=gettext_noop("Give a letter, then letters, digits, dots or dashes; 15 at most, and not lo."),
            field=f"{field}.{ENDPOINT_IFNAME}",
            value=repr(name),
        )
    sysctls = _read_sysctls(options.get(ENDPOINT_SYSCTLS, ""), f"{field}.{ENDPOINT_SYSCTLS}")
    return EndpointOptions(ifname=name, sysctls=sysctls)


def _read_sysctls(text: str, field: str) -> tuple[tuple[str, str], ...]:
    """``NAME=VALUE,NAME=VALUE``: numbers, as nearly all of an interface's settings are, so that what is read back is what was asked."""
    found: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        name, _, value = item.partition("=")
        if not _INTERFACE_SYSCTL.match(name) or not _NUMBER.match(value) or name in found:
            raise InvalidSpec(
                gettext_noop("{value} is not a setting of an interface."),
                remedy=gettext_noop(
                    "Give settings such as net.ipv4.conf.IFNAME.log_martians=1, each once, with commas between them:"
                    " of net.ipv4, net.ipv6 or net.mpls, conf or neigh, and with a number as the value."
                ),
                field=field,
                value=repr(item),
            )
        found[name] = value
    if len(found) > MAX_SYSCTLS:
        raise InvalidSpec(
            gettext_noop("{count} settings are given for one interface."),
            remedy=gettext_noop("Give at most {most}."),
            field=field,
            count=len(found),
            most=MAX_SYSCTLS,
        )
    return tuple(sorted(found.items()))


def sysctl_of(name: str, ifname: str) -> str:
    """The sysctl *name* of an endpoint, of its interface *ifname*; with slashes, for an interface's name may have dots."""
    return name.replace(".", "/").replace(IFNAME, ifname)


def option_name(key: str) -> str:
    """The field of :class:`NetworkOptions` that *key* is Docker's spelling of; empty for an unknown one."""
    return _FIELDS.get(key, "")


def check_option_names(options: Mapping[str, str], taken: Collection[str], driver: str = "") -> None:
    """Raises :class:`InvalidSpec` naming the first of *options* that is none of *taken*, fields of :class:`NetworkOptions`.

    An option that means nothing to the *driver* would be taken for one that is in force.
    """
    for key in options:
        name = _FIELDS.get(key)
        if name is None:
            raise InvalidSpec(
                gettext_noop("The option {key} is not known."),
                remedy=gettext_noop("Known options are {known}."),
                field=f"options.{key}",
                key=key,
                known=", ".join(sorted(_KEYS[name] for name in taken)),
            )
        if name not in taken:
            raise InvalidSpec(
                gettext_noop("The {driver} driver has no option {key}."),
                remedy=gettext_noop("Leave it out, or choose another driver."),
                field=f"options.{key}",
                driver=driver,
                key=key,
            )


def read_options(options: Mapping[str, str]) -> NetworkOptions:
    """Typed options from Docker's spelling. Raises :class:`InvalidSpec` naming ``options.<key>``."""
    check_option_names(options, _KEYS)
    values = {}
    for key, value in options.items():
        name = _FIELDS[key]
        values[name] = _read(name, key, str(value))
    return NetworkOptions(**values)  # type: ignore[arg-type]  # each reader returns its field's type


def _read(name: str, key: str, value: str) -> object:
    if name in {"icc", "masquerade", "inhibit_ipv4", "default_bridge"}:
        return _read_bool(key, value)
    if name == "encrypted":
        return not value or _read_bool(key, value)  # Docker: that it is given is enough
    if name == "mtu":
        return _read_mtu(key, value)
    if name == "vnis":
        return _read_vnis(key, value)
    if name in {"host_binding", "host_ipv4", "host_ipv6"}:
        return _read_address(name, key, value)
    if name in MODES:
        if value not in MODES[name]:
            raise _bad(key, value, ", ".join(MODES[name]))
        return value
    if name == "trusted_interfaces":
        return _read_interfaces(key, value)
    if name == "iface_prefix" and len(value) > MAX_PREFIX:
        raise _bad(key, value, gettext_noop("an interface name of at most 12 characters"))
    if not INTERFACE_NAME.match(value):
        raise _bad(
            key, value, gettext_noop("an interface name: a letter, then letters, digits, dots, dashes; 15 at most")
        )
    return value


def _read_interfaces(key: str, value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(filter(None, value.split(":"))))
    if not all(map(INTERFACE_NAME.match, names)) or len(names) > MAX_TRUSTED:
        raise _bad(key, value, gettext_noop("names of the host's interfaces with colons between them, 16 at most"))
    return names


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


def _read_vnis(key: str, value: str) -> tuple[int, ...]:
    numbers = tuple(int(one) if one.isascii() and one.isdigit() and len(one) < 9 else -1 for one in value.split(","))
    if not all(FIRST_VNI <= one <= LAST_VNI for one in numbers) or len(set(numbers)) < len(numbers):
        raise _bad(key, value, f"{FIRST_VNI}-{LAST_VNI}")
    return numbers


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
        allowed=Text(allowed),
    )


def vlan_of(parent: str) -> tuple[str, int] | None:
    """(device, VLAN id) that ``<device>.<VLAN id>`` names as Docker spells it; None: that is no such name. The id may be too high."""
    found = _VLAN.match(parent)
    return (found[1], int(found[2])) if found is not None else None
