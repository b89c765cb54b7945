"""Resources: what the kernel should hold, piece by piece. Compile makes them, observe reads them, diff compares them.

Each has a *kind*, a *key* (what it is), a spec (how it is), an *owner* (the object that needs it) and a *why* (one sentence).
Owner and why take no part in equality: a kernel does not know them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from networks.cnm.addresses import AnyAddress, AnyInterface, AnyNetwork

from .desired import ProcessSpec
from .names import short
from .text import NOTHING, Text

Key = tuple[str, ...]

OWNER_CODES = {"host": "hst", "network": "net", "container": "ctr", "endpoint": "end", "port": "prt", "link": "lnk"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The object of the model that needs a resource."""

    kind: str
    id: str
    name: str = field(default="", compare=False)

    @property
    def tag(self) -> str:
        """The short owner id that rules carry as a comment and links as an alias: ``cnm:net:0123456789ab``."""
        return f"cnm:{OWNER_CODES[self.kind]}:{short(self.id)}"

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind, "id": self.id, "name": self.name}


NOBODY = Owner(kind="host", id="")
"""Stands as the owner of what was only observed: the kernel does not know owners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(ABC):
    """The base of all resources. Subclasses name their key fields in ``key_fields`` and say themselves in ``describe``."""

    kind: ClassVar[str]
    key_fields: ClassVar[tuple[str, ...]]

    owner: Owner = field(default=NOBODY, compare=False)
    why: Text = field(default=NOTHING, compare=False)
    _key: Key = field(default=(), init=False, repr=False, compare=False)

    @property
    def key(self) -> Key:
        """What the resource is: its kind, and its key fields as text. Composed once."""
        if not self._key:
            object.__setattr__(self, "_key", self._compose_key())
        return self._key

    def _compose_key(self) -> Key:
        return (self.kind, *(str(getattr(self, name)) for name in self.key_fields))

    @abstractmethod
    def describe(self) -> str:
        """One line in the words of the field's tools; it is shown in plans and drift reports."""

    def spec(self) -> dict[str, str]:
        """The fields that take part in equality, as text."""
        return {item.name: str(getattr(self, item.name)) for item in fields(self) if item.compare}

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "key": list(self.key),
            "text": self.describe(),
            "owner": self.owner.to_json(),
            "why": self.why.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysctl(Resource):
    """A sysctl of the host's own network namespace, by its dotted name."""

    kind: ClassVar[str] = "sysctl"
    key_fields: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    value: str

    def describe(self) -> str:
        return f"sysctl {self.name} = {self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge(Resource):
    """A bridge device of the host, up, without STP."""

    kind: ClassVar[str] = "bridge"
    key_fields: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    mtu: int = 1500
    route_localnet: bool = False
    """``net.ipv4.conf.<name>.route_localnet``: needed where no proxy carries 127.0.0.1."""
    ipv6: bool = False
    up: bool = True
    """False is only ever observed."""

    def describe(self) -> str:
        extra = " route_localnet" if self.route_localnet else ""
        return f"bridge {self.name} mtu {self.mtu}{extra}{' ipv6' if self.ipv6 else ''}{'' if self.up else ' down'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox(Resource):
    """A network namespace under ``/run/netns``, with ``lo`` up."""

    kind: ClassVar[str] = "sandbox"
    key_fields: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    ipv6: bool = False
    """False: IPv6 is disabled inside (router solicitations of many sandboxes flood a bridge)."""
    adopted_path: str = ""
    """The namespace of somebody else that is bound here instead of a new one; never deleted, only let go."""
    up: bool = True
    """Whether ``lo`` is up. False is only ever observed, also of a name that no namespace is bound to."""

    def describe(self) -> str:
        source = f" adopted from {self.adopted_path}" if self.adopted_path else ""
        return f"netns {self.name}{source}{' ipv6' if self.ipv6 else ''}{'' if self.up else ' down'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Veth(Resource):
    """A veth pair: the host end is a port of a bridge, the other was born in a sandbox."""

    kind: ClassVar[str] = "veth"
    key_fields: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    """The host end's name."""
    bridge: str
    sandbox: str
    ifname: str
    mac: str
    mtu: int = 1500
    hairpin: bool = False
    sysctls: tuple[tuple[str, str], ...] = ()
    """(name with slashes, value): settings of the end in the sandbox that were asked for."""
    up: bool = True
    """Whether both ends are up. False is only ever observed."""

    def describe(self) -> str:
        extra = f"{' hairpin' if self.hairpin else ''}{'' if self.up else ' down'}"
        return (
            f"veth {self.name} master {self.bridge}{extra} peer {self.ifname}@{self.sandbox} {self.mac} mtu {self.mtu}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedVeth(Resource):
    """A veth pair whose inner end is somebody else's to take: the host end is a port of a bridge, the other stands beside it, down, until
    whoever asked for it moves it into a sandbox of theirs. From then on nothing of that end is ours to see or to set."""

    kind: ClassVar[str] = "handed"
    key_fields: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    """The host end's name."""
    bridge: str
    inner: str = field(default="", compare=False)
    """The other end's name for as long as it stands on the host."""
    mac: str = field(default="", compare=False)
    """The other end's, from its birth."""
    mtu: int = 1500
    hairpin: bool = False
    up: bool = True
    """Whether the host end is up. False is only ever observed."""

    def describe(self) -> str:
        extra = f"{' hairpin' if self.hairpin else ''}{'' if self.up else ' down'}"
        peer = f" peer {self.inner} {self.mac}" if self.inner else ""
        return f"veth {self.name} master {self.bridge}{extra}{peer} mtu {self.mtu}, handed to a Docker Engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vlan(Resource):
    """A VLAN sub-interface of a device of the host, for networks to stand on: what leaves by it is tagged, and only that VLAN comes in."""

    kind: ClassVar[str] = "vlan"
    key_fields: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    parent: str
    """Empty, only ever observed: a device that the host does not have any more."""
    number: int
    mtu: int = 1500
    up: bool = True
    """False is only ever observed."""

    def describe(self) -> str:
        return f"vlan {self.name} link {self.parent} id {self.number}{'' if self.up else ' down'} mtu {self.mtu}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnParent(Resource):
    """A device in a sandbox that stands on a device of the host, which is called its parent."""

    key_fields: ClassVar[tuple[str, ...]] = ("sandbox", "ifname")
    sandbox: str
    ifname: str
    parent: str
    """Empty, only ever observed: a device that the host does not have any more."""
    mode: str
    mtu: int = 1500
    sysctls: tuple[tuple[str, str], ...] = ()
    """(name with slashes, value): settings of it that were asked for."""
    up: bool = True
    """False is only ever observed."""

    @property
    def place(self) -> str:
        """Where it stands, in the words of ``ip link``."""
        return f"{self.kind} {self.ifname}@{self.sandbox} link {self.parent} mode {self.mode}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Macvlan(OnParent):
    """A device with a MAC of its own, in mode ``bridge`` (those of one parent hear one another) or ``private`` (they do not)."""

    kind: ClassVar[str] = "macvlan"
    mac: str

    def describe(self) -> str:
        return f"{self.place}{'' if self.up else ' down'} {self.mac} mtu {self.mtu}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipvlan(OnParent):
    """A device with its parent's MAC, in mode ``l2``, ``l3`` or ``l3s``. Mode and flag are the parent's: all on it have the same."""

    kind: ClassVar[str] = "ipvlan"
    flag: str = "bridge"
    """``bridge`` (those of one parent hear one another), ``private`` (they do not) or ``vepa`` (by the switch alone)."""

    def describe(self) -> str:
        return f"{self.place} {self.flag}{'' if self.up else ' down'} mtu {self.mtu}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface(Resource):
    """A link in a sandbox that somebody else made on the host for it: moved there under a name of ours, and back before the sandbox
    goes."""

    kind: ClassVar[str] = "interface"
    key_fields: ClassVar[tuple[str, ...]] = ("sandbox", "ifname")
    sandbox: str
    ifname: str
    source: str
    """Its name on the host; empty while its maker has not told."""
    mac: str = ""
    """Empty: as its maker left it."""
    sysctls: tuple[tuple[str, str], ...] = ()
    """(name with slashes, value): settings of it that were asked for."""
    up: bool = True
    """False is only ever observed."""

    def describe(self) -> str:
        extra = f"{f' {self.mac}' if self.mac else ''}{'' if self.up else ' down'}"
        return f"link {self.source or '?'} netns {self.sandbox} name {self.ifname}{extra}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address(Resource):
    """An address on a device, in a sandbox or (``sandbox=""``) on the host. IPv6 addresses skip duplicate detection."""

    kind: ClassVar[str] = "address"
    key_fields: ClassVar[tuple[str, ...]] = ("sandbox", "device", "address")
    sandbox: str = ""
    device: str
    address: AnyInterface

    def describe(self) -> str:
        return f"address {self.address} dev {self.device}{f' in {self.sandbox}' if self.sandbox else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Resource):
    """A route in a sandbox."""

    kind: ClassVar[str] = "route"
    key_fields: ClassVar[tuple[str, ...]] = ("sandbox", "destination")
    sandbox: str
    destination: AnyNetwork
    gateway: AnyAddress | None
    """None: the destination is on the link."""
    device: str

    def describe(self) -> str:
        where = "default" if self.destination.prefixlen == 0 else str(self.destination)
        via = f" via {self.gateway}" if self.gateway is not None else ""
        return f"route {where}{via} dev {self.device} in {self.sandbox}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vxlan(Resource):
    """A VXLAN device (RFC 7348) as a port of a bridge: it learns nothing, floods nothing, and answers ARP and ND itself."""

    kind: ClassVar[str] = "vxlan"
    key_fields: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    vni: int
    """The segment's number, 24 bits."""
    port: int
    """The UDP port that it sends to and listens on."""
    bridge: str
    local: AnyAddress | None = None
    """The host's own underlay address; None while the host has none, and so reaches nobody."""
    mtu: int = 1450
    learning: bool = False
    """True is only ever observed."""
    up: bool = True
    """False is only ever observed."""

    def describe(self) -> str:
        extra = f"{' learning' if self.learning else ''}{'' if self.up else ' down'}"
        local = f" local {self.local}" if self.local else ""
        return f"vxlan {self.name} id {self.vni}{local} dstport {self.port} master {self.bridge} mtu {self.mtu}{extra}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingEntry(Resource):
    """Which host frames for a MAC go to: an entry of a VXLAN device, and the bridge's entry that leads to that device."""

    kind: ClassVar[str] = "forwarding"
    key_fields: ClassVar[tuple[str, ...]] = ("device", "mac")
    device: str
    mac: str
    remote: AnyAddress
    """The underlay address of the host that has the endpoint."""
    bridged: bool = True
    """Whether the bridge knows that the MAC is behind the device. False is only ever observed."""

    def describe(self) -> str:
        return f"fdb {self.mac} dev {self.device} dst {self.remote}{'' if self.bridged else ' (not on the bridge)'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour(Resource):
    """The MAC of an address on another host: what a VXLAN device answers ARP and ND with."""

    kind: ClassVar[str] = "neighbour"
    key_fields: ClassVar[tuple[str, ...]] = ("device", "address")
    device: str
    address: AnyAddress
    mac: str

    def describe(self) -> str:
        return f"neigh {self.address} lladdr {self.mac} dev {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class XfrmState(Resource):
    """One direction of what two hosts encrypt (ESP, RFC 4303): a security association of one host with another's underlay address."""

    kind: ClassVar[str] = "xfrm-state"
    key_fields: ClassVar[tuple[str, ...]] = ("destination", "spi")
    source: AnyAddress
    destination: AnyAddress
    spi: int
    """Names it to the receiver: the number that its packets carry."""
    port: int
    """The UDP port whose packets it carries."""
    fingerprint: str
    """Tells its key from others, and tells nobody the key; empty where the kernel keeps it to itself."""
    outgoing: bool = field(default=False, compare=False)
    association: int = field(default=0, compare=False)
    """The number of its row."""
    sender: str = field(default="", compare=False)
    receiver: str = field(default="", compare=False)
    sealed: str = field(default="", repr=False, compare=False)
    """Its key as the database keeps it: who writes it into a kernel opens it then, and nobody before."""
    burnt: bool = field(default=False, compare=False)
    """Whether it was in this host's kernel before. Its numbers would begin anew under a key that has seen them: it is never written a
    second time."""

    def describe(self) -> str:
        return f"xfrm state src {self.source} dst {self.destination} proto esp spi {self.spi:#010x} udp {self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class XfrmPolicy(Resource):
    """What becomes of packets to a UDP port: they are encrypted, were encrypted, or (``block``) are dropped."""

    kind: ClassVar[str] = "xfrm-policy"
    key_fields: ClassVar[tuple[str, ...]] = ("direction", "source", "destination", "port")
    direction: str
    """``in`` or ``out``."""
    source: AnyNetwork
    destination: AnyNetwork
    port: int
    priority: int
    """The kernel asks smaller ones first."""
    block: bool = False
    spi: int = 0
    """Of the one state that it sends by; 0: any of ours."""
    association: int = field(default=0, compare=False)

    def describe(self) -> str:
        what = "block" if self.block else f"esp spi {self.spi:#010x}" if self.spi else "esp"
        return f"xfrm policy dir {self.direction} src {self.source} dst {self.destination} udp {self.port}: {what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcLine:
    """One line of a container's file, without its line end, with the object that it stands there for."""

    text: str
    origin: str
    """``standard`` (in every file), ``own``, ``given`` (asked for by a person), ``link``, ``neighbour``, or ``host`` (taken from the
    host's own file)."""
    owner: Owner
    why: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcFile(Resource):
    """One of ``hosts``, ``hostname``, ``resolv.conf`` of a container, in the container's folder on the host."""

    kind: ClassVar[str] = "file"
    key_fields: ClassVar[tuple[str, ...]] = ("container_id", "name")
    container_id: str
    name: str
    content: str
    run: str = ""
    """For a file that may be edited for good: the start of the container that it was written for. The next start writes it anew."""
    lines: tuple[EtcLine, ...] = field(default=(), compare=False)
    """The lines of ``content``, each with its owner and why; empty where the file was only observed."""

    def describe(self) -> str:
        lines = self.content.count("\n")
        return f"/etc/{self.name} of {short(self.container_id)} ({lines} {'line' if lines == 1 else 'lines'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameServer(Resource):
    """What the embedded DNS server does in one sandbox: it answers at 127.0.0.11, port 53."""

    kind: ClassVar[str] = "dns"
    key_fields: ClassVar[tuple[str, ...]] = ("sandbox",)
    sandbox: str
    networks: tuple[str, ...] = ()
    """Ids of the networks whose names it knows, in the order in which they are searched."""
    links: tuple[tuple[str, str], ...] = ()
    """(alias, container id): names that this sandbox alone knows."""
    servers: tuple[str, ...] = ()
    """Who is asked about names that nobody here has."""
    inside: bool = False
    """Whether the servers are asked from within the sandbox (a person chose them), or from the host (they are the host's)."""
    forwards: bool = True
    """False on internal networks alone: nobody outside is asked."""
    keeps_single_labels: bool = False
    """Whether a name without a dot is never passed on: the container has an ``ndots`` of its own."""
    up: bool = True
    """Whether its sockets are in the sandbox and the rules there lead to them. False is only ever observed."""

    def describe(self) -> str:
        asked = f" -> {' '.join(self.servers)}" if self.forwards and self.servers else ""
        return f"dns 127.0.0.11 in {self.sandbox}{asked}{'' if self.up else ' down'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRecord(Resource):
    """The names of an endpoint, as the embedded DNS server tells them to those who share its network."""

    kind: ClassVar[str] = "name"
    key_fields: ClassVar[tuple[str, ...]] = ("network_id", "endpoint_id")
    network_id: str
    endpoint_id: str
    network_name: str
    container_id: str
    names: tuple[str, ...]
    """The container's own name first."""
    addresses: tuple[AnyAddress, ...] = ()
    ports: tuple[tuple[int, str], ...] = ()

    def describe(self) -> str:
        return f"names {' '.join(self.names)} on {self.network_name}: {' '.join(map(str, self.addresses)) or '-'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortReservation(Resource):
    """A host port that the port holder binds, so that no other program can take it."""

    kind: ClassVar[str] = "port"
    key_fields: ClassVar[tuple[str, ...]] = ("protocol", "host_address", "host_port")
    protocol: str
    host_address: AnyAddress
    host_port: int
    target: tuple[str, int] | None = None
    """Where the holder carries connections that rules do not translate (127.0.0.1, ::1): (address, port); None: nowhere."""

    def describe(self) -> str:
        host = f"[{self.host_address}]" if self.host_address.version == 6 else str(self.host_address)
        target = f" -> {self.target[0]}:{self.target[1]}" if self.target else ""
        return f"bind {host}:{self.host_port}/{self.protocol}{target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process(Resource):
    """One run of a container's process under the OCI runtime."""

    kind: ClassVar[str] = "process"
    key_fields: ClassVar[tuple[str, ...]] = ("container_id",)
    container_id: str
    run: str
    """Names this start; an observed process with another value is stopped and started anew."""
    name: str = field(default="", compare=False)
    hostname: str = field(default="", compare=False)
    domainname: str = field(default="", compare=False)
    sandbox: str = field(default="", compare=False)
    """The namespace under ``/run/netns`` that it joins; empty: the host's own."""
    files_of: str = field(default="", compare=False)
    """The container whose /etc files it sees: its own, or that of the container whose sandbox it shares."""
    link_env: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    process: ProcessSpec = field(default_factory=ProcessSpec, compare=False)

    def describe(self) -> str:
        command = " ".join((*(self.process.entrypoint or ()), *self.process.args)) or "(the image's command)"
        return f"process {self.name or short(self.container_id)}: {command}"
