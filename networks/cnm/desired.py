"""The desired state of one host as plain values: what compile takes. Made from the database by ``networks.load``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_address, ip_network
from typing import Any

from networks.cnm.addresses import AnyAddress, AnyNetwork

from .names import NAMINGS, Naming
from .options import NetworkOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What the environment says about this host (``CNM_*``); see ``docs/settings.md`` for each."""

    names: str = "cnm"
    firewall: str = "auto"
    iptables: bool = True
    ip_forward: bool = True
    ip_masq: bool = True
    userland_proxy: bool = True
    """True: the port holder carries 127.0.0.1 and ::1 (Docker's rules with docker-proxy). False: by rules alone."""
    hardening: bool = True
    ipam_order: str = "lru"
    dns: tuple[str, ...] = ()
    auto_repair: bool = False
    embedded_dns: bool = True
    """Whether a DNS server of ours answers at 127.0.0.11 in the sandboxes of user-defined networks. Without it their containers
    ask the host's name servers, and /etc/hosts names their neighbours."""

    underlay: str = ""
    """The address, or the device, by which other hosts reach this one's overlay networks; empty: the way outside."""
    vxlan_port: int = 4789
    """The UDP port of overlay networks (4789: RFC 7348 section 5); the same on all hosts."""
    encrypted_port: int = 4790
    """The UDP port of those that are encrypted; the same on all hosts. A port of their own, so that the kernel's IPsec knows them by
    it, whatever becomes of the rules."""

    @property
    def naming(self) -> Naming:
        return NAMINGS[self.names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A range of addresses of a network."""

    subnet: AnyNetwork
    gateway: AnyAddress | None = None
    ip_range: AnyNetwork | None = None
    reserved: tuple[tuple[str, AnyAddress], ...] = ()
    vni: int = 0
    """The number of the VXLAN segment that carries it; 0: its network's first."""
    chosen: bool = False
    """Whether nobody asked for it: it was taken from the pools, or an IPAM plugin chose it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipam:
    """Who gives out a network's addresses: ``default`` (we do), ``null`` (nobody), or a plugin by its name."""

    driver: str = "default"
    options: tuple[tuple[str, str], ...] = ()

    @property
    def plugin(self) -> str:
        """The plugin's name; empty where it is none."""
        return "" if self.driver in OWN_IPAM else self.driver


OWN_IPAM = ("default", "null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network as it is asked for."""

    id: str
    name: str
    driver: str
    activation: int
    """Grows with each network that is made on the host; newer networks' rules stand above older ones'."""
    scope: str = "local"
    internal: bool = False
    predefined: bool = False
    subnets: tuple[Subnet, ...] = ()
    options: NetworkOptions = field(default_factory=NetworkOptions)
    vni: int = 0
    """The number of its VXLAN segment, or of the first of them; 0 for networks that stay on their host."""
    wants_ipv6: bool = False
    """Whether it is to have IPv6, also while no subnet of it is known."""
    ipam: Ipam = field(default_factory=Ipam)
    driver_options: tuple[tuple[str, str], ...] = ()
    """The options of a network whose driver is a plugin, as they were given, or as the plugin made them for all hosts: they mean something
    to that alone."""
    kept_here: bool = True
    """Whether this host keeps its books: of those that span hosts, one does."""

    @property
    def spans(self) -> bool:
        """Whether it spans hosts. Such a network leads to its own members and nowhere else."""
        return self.scope == "global"

    @property
    def ipv6(self) -> bool:
        return any(subnet.subnet.version == 6 for subnet in self.subnets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What a plugin answered when an endpoint joined."""

    source: str
    """The interface that it made for the endpoint, by its name on the host."""
    prefix: str = ""
    """What the interface's name in the sandbox begins with; empty: the plugin does not mind."""
    gateways: tuple[AnyAddress, ...] = ()
    """At most one of each family."""
    routes: tuple[tuple[AnyNetwork, AnyAddress | None], ...] = ()
    """(destination, whom to send it to, or None: it is on the link)."""
    closed: bool = False
    """Whether nobody else is to lead it outside either (``DisableGatewayService``)."""
    info: tuple[tuple[str, str], ...] = ()
    """What else the plugin says of the endpoint, by its own names."""

    @property
    def leads(self) -> bool:
        """Whether it leads outside: the plugin named a gateway, or a default route."""
        return bool(self.gateways) or any(not destination.prefixlen for destination, _ in self.routes)

    def gateway(self, version: int) -> AnyAddress | None:
        return next((address for address in self.gateways if address.version == version), None)

    def to_json(self) -> dict[str, Any]:
        routes = [[str(where), str(via) if via is not None else ""] for where, via in self.routes]
        gateways, info = list(map(str, self.gateways)), list(map(list, self.info))
        return asdict(self) | {"gateways": gateways, "routes": routes, "info": info}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Joined:
        routes = tuple((ip_network(where), ip_address(via) if via else None) for where, via in value["routes"])
        info = tuple((str(name), str(text)) for name, text in value["info"])
        return cls(**{**value, "gateways": tuple(map(ip_address, value["gateways"])), "routes": routes, "info": info})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One attachment of a container to a network."""

    id: str
    network_id: str
    ifname: str
    """The name inside the sandbox: ``eth0``, ``eth1``, …"""
    mac: str = ""
    ipv4: IPv4Interface | None = None
    ipv6: IPv6Interface | None = None
    aliases: tuple[str, ...] = ()
    gw_priority: int = 0
    sysctls: tuple[tuple[str, str], ...] = ()
    """(name with ``IFNAME`` for the interface, value)."""
    wanted: tuple[str, str, str] = ("", "", "")
    """What a person chose of IPv4 address, IPv6 address and MAC, whatever it has now."""
    driver_options: tuple[tuple[str, str], ...] = ()
    """Options that mean something to a plugin alone."""
    joined: Joined | None = None
    """On a plugin's network: what that answered when it joined; None: it has not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A host port that leads to a port of a container."""

    id: str
    protocol: str
    host_address: AnyAddress | None
    """None: every address of the host (Docker's ``0.0.0.0`` and ``::``)."""
    host_port: int
    container_port: int
    allowed_sources: tuple[AnyNetwork, ...] = ()
    activation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The recipient (the container that holds this value) names the source by an alias."""

    id: str
    source_id: str
    alias: str
    activation: int = 0
    last_ipv4: IPv4Address | None = None
    """The source's address when it last had one. Docker keeps the rules of a link while its source is merely stopped, and so does
    Docker naming without hardening; nobody else reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """What runs in a container; empty ``args`` mean the image's own command."""

    image: str = "host"
    args: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    init: bool = False
    """Whether an init of the host's is its first process, and the command a child of that."""
    binds: tuple[str, ...] = ()
    """``host-path:container-path[:ro]``"""
    binds_anywhere: bool = False
    """Whether an admin made the container: its binds are not held to the folders of ``CNM_BIND_ALLOWLIST``."""
    tmpfs: tuple[str, ...] = ()
    """``container-path[:options of mount]``: folders in memory, which end with the process."""
    memory_bytes: int = 0
    cpus: float = 0.0
    pids: int = 0
    stop_signal: str = "SIGTERM"
    stop_timeout_s: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container as it is asked for."""

    id: str
    name: str
    kind: str = "process"
    """``process``, ``sandbox`` (a namespace with no process), ``adopted`` (somebody else's namespace) or ``docker`` (a Docker Engine's
    container)."""
    network_mode: str = "bridge"
    """``bridge``, ``host``, ``none``, a network's name, or ``container:<id>`` (joins that container's sandbox)."""
    live: bool = False
    """Whether its sandbox, and its process if it has one, should exist now."""
    run: str = ""
    """Names one start of the process; a new value means: start again."""
    activation: int = 0
    """Grows with each start on the host."""
    adopted_path: str = ""
    hostname: str = ""
    domainname: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    exposed_ports: tuple[tuple[int, str], ...] = ()
    """(port, protocol), sorted."""
    process: ProcessSpec | None = None
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def of_docker(self) -> bool:
        """Whether it is a Docker Engine's: it gets links and rules, and what is in its sandbox is the engine's."""
        return self.kind == "docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEndpoint:
    """A live endpoint on another host, of a network that this host has containers on, too."""

    id: str
    network_id: str
    container_id: str
    host: str
    underlay: AnyAddress
    """The other host's underlay address."""
    mac: str
    addresses: tuple[AnyAddress, ...]
    names: tuple[str, ...]
    """As the name server tells them; the container's own name first."""
    ports: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """One direction of what two hosts encrypt: a security association (RFC 4301 section 4.1) with a key of its own."""

    id: int
    sender: str
    receiver: str
    """Names of hosts."""
    fingerprint: str
    sealed: str = field(repr=False)
    """Its key, encrypted; ``networks.sealing`` opens it."""
    held: bool = False
    """Whether the receiver was seen to hold it."""
    begun: bool = False
    """Whether the sender has it in its kernel, or had it there."""
    used: bool = False
    """Whether the sender was seen to send by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Everything that one host should be."""

    id: str
    settings: HostSettings = field(default_factory=HostSettings)
    networks: tuple[Network, ...] = ()
    containers: tuple[Container, ...] = ()
    remotes: tuple[RemoteEndpoint, ...] = ()
    underlay_room: int = 0
    """The largest packet of an overlay network that every host's underlay carries whole; 0: nothing is known of other hosts."""
    associations: tuple[Association, ...] = ()
    """Those that this host sends or receives by, oldest first."""
    removing: bool = False
    """Whether it is about to leave: nothing of ours should be on it."""
    nodes: tuple[tuple[str, AnyAddress], ...] = ()
    """(name, underlay address) of every host, this one included; known where a network is a plugin's."""

    def network(self, network_id: str) -> Network:
        return next(network for network in self.networks if network.id == network_id)
