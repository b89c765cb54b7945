"""Resources that a plugin holds for us: what it was told, piece by piece, in the words in which it was told.

They are no state of a kernel. What a plugin was told is known by the ledger of what it was told (``worker.plugins.told``), and so their
fields are text alone. Where ``up`` is false, what the plugin made of it is gone: it is told anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from .names import short
from .resources import Resource

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Resource):
    """The base of what a plugin is told."""

    plugin: str
    network_id: str

    def to_told(self) -> dict[str, Any]:
        """Everything of it but whose it is and why, as JSON."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in _OF_OURS}

    @classmethod
    def from_told(cls, value: dict[str, Any]) -> Told:
        """The inverse of :meth:`to_told`, also of what was read back from JSON."""
        return cls(**{name: _tuples(item) for name, item in value.items()})


_OF_OURS = ("owner", "why", "_key")


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPool(Told):
    """A range of addresses that an IPAM plugin keeps for a network, with its gateway. What it is follows from the key alone: where
    nothing was asked for, the plugin chooses."""

    kind: ClassVar[str] = "pool"
    key_fields: ClassVar[tuple[str, ...]] = ("network_id", "version", "asked")
    version: str
    """``4`` or ``6``."""
    asked: str = ""
    """The subnet that a person asked for."""
    former: str = field(default="", compare=False)
    """The one that the plugin chose before: it is asked for again, so that nobody's address changes."""
    sub_pool: str = field(default="", compare=False)
    gateway: str = field(default="", compare=False)
    """The gateway that a person asked for, or that there was before."""
    reserved: Pairs = field(default=(), compare=False)
    """(name, address) that nobody is to get."""
    options: Pairs = field(default=(), compare=False)
    scope: str = field(default="local", compare=False)
    shared: bool = field(default=False, compare=False)
    """Whether another host keeps the books of it, and has its gateway and what is reserved."""

    def describe(self) -> str:
        wanted = self.asked or self.former or f"of IPv{self.version}"
        return f"plugin {self.plugin}: pool {wanted} for network {short(self.network_id)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginNode(Told):
    """A host that a plugin is to know of which joins hosts itself."""

    kind: ClassVar[str] = "plugin-node"
    key_fields: ClassVar[tuple[str, ...]] = ("plugin", "address")
    address: str
    own: bool = False
    """Whether it is this very host."""

    def describe(self) -> str:
        return f"plugin {self.plugin}: host {self.address}{' (this one)' if self.own else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginAllocation(Told):
    """What a plugin settles of a network that spans hosts, once for all of them."""

    kind: ClassVar[str] = "plugin-allocation"
    key_fields: ClassVar[tuple[str, ...]] = ("network_id",)
    space: str = ""
    subnets: tuple[tuple[str, str, Pairs], ...] = ()
    options: Pairs = field(default=(), compare=False)

    def describe(self) -> str:
        return f"plugin {self.plugin}: allocation of network {short(self.network_id)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginNetwork(Told):
    """A network that a plugin makes."""

    kind: ClassVar[str] = "plugin-network"
    key_fields: ClassVar[tuple[str, ...]] = ("network_id",)
    space: str = ""
    """The address space that its subnets are of; empty: the default one of the plugin that keeps them."""
    subnets: tuple[tuple[str, str, Pairs], ...] = ()
    """(subnet, gateway with prefix or nothing, reserved addresses by name)."""
    options: Pairs = field(default=(), compare=False)
    chosen_gateways: tuple[str, ...] = field(default=(), compare=False)
    """The subnets whose gateway nobody asked for: the plugin may do without."""
    internal: bool = False
    ipv6: bool = False

    def describe(self) -> str:
        ranges = " ".join(subnet for subnet, _, _ in self.subnets)
        return f"plugin {self.plugin}: network {short(self.network_id)} {ranges}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressLease(Told):
    """An address of one family that an IPAM plugin gives an endpoint."""

    kind: ClassVar[str] = "lease"
    key_fields: ClassVar[tuple[str, ...]] = ("endpoint_id", "version")
    endpoint_id: str
    version: str
    asked: str = field(default="", compare=False)
    """The address that a person asked for: no other will do."""
    former: str = field(default="", compare=False)
    """The one that the endpoint has had: it is asked for first."""
    mac: str = field(default="", compare=False)

    def describe(self) -> str:
        wanted = f" {self.asked}" if self.asked else ""
        return f"plugin {self.plugin}: IPv{self.version} address{wanted} for endpoint {short(self.endpoint_id)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginEndpoint(Told):
    """An endpoint on a plugin's network."""

    kind: ClassVar[str] = "plugin-endpoint"
    key_fields: ClassVar[tuple[str, ...]] = ("endpoint_id",)
    endpoint_id: str
    ipv4: str = ""
    """Address with prefix; empty: none is given, and the plugin may."""
    ipv6: str = ""
    mac: str = ""
    options: Pairs = field(default=(), compare=False)
    up: bool = True

    def describe(self) -> str:
        given = " ".join(filter(None, (self.ipv4, self.ipv6, self.mac)))
        lost = "" if self.up else " (its interface is gone)"
        return f"plugin {self.plugin}: endpoint {short(self.endpoint_id)} {given}".rstrip() + lost


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginJoin(Told):
    """That an endpoint's sandbox has joined a plugin's network."""

    kind: ClassVar[str] = "plugin-join"
    key_fields: ClassVar[tuple[str, ...]] = ("endpoint_id",)
    endpoint_id: str
    sandbox: str
    options: Pairs = field(default=(), compare=False)
    up: bool = True

    def describe(self) -> str:
        lost = "" if self.up else " (its interface is gone)"
        return f"plugin {self.plugin}: {self.sandbox} joins by endpoint {short(self.endpoint_id)}{lost}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginPorts(Told):
    """The ports of an endpoint that a plugin is to let the outside reach."""

    kind: ClassVar[str] = "plugin-ports"
    key_fields: ClassVar[tuple[str, ...]] = ("endpoint_id",)
    endpoint_id: str
    ports: tuple[tuple[str, str, str, str], ...] = ()
    """(protocol, host address or nothing, host port, port of the container)."""
    exposed: Pairs = ()
    """(port, protocol)."""

    def describe(self) -> str:
        ports = " ".join(f"{host}:{port}/{protocol}" for protocol, _, host, port in self.ports)
        return f"plugin {self.plugin}: way outside of endpoint {short(self.endpoint_id)} {ports}".rstrip()


TOLD: dict[str, type[Told]] = {
    kind.kind: kind
    for kind in (
        PluginNode,
        AddressPool,
        PluginAllocation,
        PluginNetwork,
        AddressLease,
        PluginEndpoint,
        PluginJoin,
        PluginPorts,
    )
}
"""Every kind, in the order in which they are told; they are taken back in the reverse one."""
ANSWERED = frozenset({"pool", "plugin-allocation", "lease", "plugin-endpoint", "plugin-join"})
"""Kinds whose answer something else follows from."""
