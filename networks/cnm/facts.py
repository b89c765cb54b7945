"""Facts: what only the host's kernel knows. The worker observes and stores them; compile and IPAM take them as input."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_interface, ip_network
from typing import Any

from networks.cnm.addresses import AnyNetwork

from .plugins import Plugin
from .text import NOTHING, Text

_TEXTS = ("firewall_reason", "firewall_warning")
Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One kernel feature or right that was probed. ``remedy`` says what an admin would do about its absence."""

    key: str
    present: bool | None
    """None: it could not be found out (yet). What needs it is not refused for that."""
    detail: Text = NOTHING
    remedy: Text = NOTHING

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"detail": self.detail.to_json(), "remedy": self.remedy.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Feature:
        return cls(**value | {name: _said(value[name]) for name in ("detail", "remedy") if name in value})


def _said(value: dict[str, Any] | str) -> Text:
    """An earlier worker wrote plain English."""
    return Text(value) if isinstance(value, str) else Text.from_json(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port of the host that a process which is not ours holds."""

    protocol: str
    address: str
    port: int
    process: str
    """``name (pid)`` where it can be known, else an empty string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What only the kernel knows of a host, as its worker observed it."""

    version: str = ""
    """Changes whenever any other fact does."""
    hostname: str = ""
    kernel: str = ""
    addresses: tuple[tuple[str, Interface], ...] = ()
    """(device, address with prefix) of every address of the host that is not ours."""
    onlink: tuple[AnyNetwork, ...] = ()
    """Destinations of on-link routes that are not ours: pools avoid them (Docker's rule, libnetwork ``netutils``)."""
    gateways: tuple[str, ...] = ()
    """The routers of the host's routes: machines of its LANs."""
    nameservers: tuple[str, ...] = ()
    resolv_conf: str = ""
    etc_hosts: str = ""
    default_mtu: int = 1500
    default_device: str = ""
    """The device of the default route (IPv4's, else IPv6's); empty where there is none."""
    mtus: tuple[tuple[str, int], ...] = ()
    """(device, MTU) of the devices that have an address and are not ours."""
    devices: tuple[tuple[str, int], ...] = ()
    """(device, MTU) of every device of the host that is not ours, carries Ethernet, and is no port of a bridge and no macvlan: what
    a network can stand on."""
    firewall_flavour: str = ""
    """``iptables-legacy``, ``iptables-nft`` or ``nftables``: what is written."""
    firewall_reason: Text = NOTHING
    """Why it was chosen."""
    firewall_warning: Text = NOTHING
    """What is odd about it."""
    local_ports: tuple[int, int] = (32768, 60999)
    """``net.ipv4.ip_local_port_range``: where ephemeral publishing takes its ports from."""
    reserved_ports: tuple[int, ...] = ()
    listeners: tuple[Listener, ...] = ()
    features: tuple[Feature, ...] = field(default=())
    plugins: tuple[Plugin, ...] = ()
    """Every plugin that the host's folders of plugins name."""

    def feature(self, key: str) -> Feature | None:
        return next((feature for feature in self.features if feature.key == key), None)

    def plugin(self, name: str) -> Plugin | None:
        return next((plugin for plugin in self.plugins if plugin.name == name), None)

    def mtu_of(self, device: str) -> int:
        """The MTU of a device of the host that a network can stand on; 0 when there is none of that name."""
        return next((mtu for name, mtu in self.devices if name == device), 0)

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        value["addresses"] = [[device, str(address)] for device, address in self.addresses]
        for name in _TEXTS:
            value[name] = getattr(self, name).to_json()
        value["features"] = [feature.to_json() for feature in self.features]
        value["plugins"] = [plugin.to_json() for plugin in self.plugins]
        value["onlink"] = [str(network) for network in self.onlink]
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> HostFacts:
        """The inverse of :meth:`to_json`; an empty mapping gives the facts of a host that was never observed."""
        if not value:
            return cls()
        known = {name: value[name] for name in cls.__slots__ if name in value}
        known["addresses"] = tuple((device, ip_interface(address)) for device, address in known.get("addresses", ()))
        known["onlink"] = tuple(ip_network(network) for network in known.get("onlink", ()))
        known["listeners"] = tuple(Listener(**item) for item in known.get("listeners", ()))
        known["features"] = tuple(Feature.from_json(item) for item in known.get("features", ()))
        known["plugins"] = tuple(Plugin.from_json(item) for item in known.get("plugins", ()))
        known["mtus"] = tuple((device, mtu) for device, mtu in known.get("mtus", ()))
        known["devices"] = tuple((device, mtu) for device, mtu in known.get("devices", ()))
        for name in ("gateways", "nameservers", "local_ports", "reserved_ports"):
            if name in known:
                known[name] = tuple(known[name])
        for name in _TEXTS:
            if name in known:
                known[name] = Text.from_json(known[name]) if known[name] else NOTHING
        return cls(**known)
