"""The desired state of one host as plain values: what compile takes. Made from the database by ``networks.load``."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface

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

    @property
    def ipv6(self) -> bool:
        return any(subnet.subnet.version == 6 for subnet in self.subnets)


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
    binds: tuple[str, ...] = ()
    """``host-path:container-path[:ro]``"""
    binds_anywhere: bool = False
    """Whether an admin made the container: its binds are not held to the folders of ``CNM_BIND_ALLOWLIST``."""
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
    """``process``, ``sandbox`` (a namespace with no process) or ``adopted`` (somebody else's namespace)."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Everything that one host should be."""

    id: str
    settings: HostSettings = field(default_factory=HostSettings)
    networks: tuple[Network, ...] = ()
    containers: tuple[Container, ...] = ()

    def network(self, network_id: str) -> Network:
        return next(network for network in self.networks if network.id == network_id)
