"""The captured scenarios as desired state: what somebody who gave those commands wants the host to be, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network

from networks.cnm.desired import (
    Container,
    Endpoint,
    Host,
    HostSettings,
    Link,
    Network,
    ProcessSpec,
    PublishedPort,
    Subnet,
)
from networks.cnm.facts import HostFacts
from networks.cnm.options import NetworkOptions

FACTS = HostFacts(
    hostname="vm",
    nameservers=("203.0.113.53",),
    resolv_conf="nameserver 203.0.113.53\nsearch corp.example\noptions timeout:2\n",
    etc_hosts="127.0.0.1 localhost\n127.0.0.1 runsc\n127.0.0.1 vm\n",
)
"""What the captured host was like."""
DOCKER = HostSettings(names="docker", hardening=False, embedded_dns=True, ipam_order="lowest")
"""The settings under which everything must equal what a Docker Engine 20.10 writes."""


def network_id(name: str) -> str:
    return (name.encode().hex() + "e" * 64)[:64]


def container_id(name: str) -> str:
    return (name.encode().hex() + "c" * 64)[:64]


def default_bridge(cidr: str = "172.17.0.1/16", **options: object) -> Network:
    interface = ip_interface(cidr)
    return Network(
        id=network_id("bridge"),
        name="bridge",
        driver="bridge",
        activation=1,
        predefined=True,
        subnets=(Subnet(subnet=interface.network, gateway=interface.ip),),
        options=NetworkOptions(default_bridge=True, **options),  # type: ignore[arg-type]
    )


HOST_NETWORK = Network(id=network_id("host"), name="host", driver="host", activation=2, predefined=True)
NONE_NETWORK = Network(id=network_id("none"), name="none", driver="null", activation=3, predefined=True)
BRIDGE = default_bridge()


def network(name: str, subnet: str, activation: int, **options: object) -> Network:
    cidr = ip_network(subnet)
    return Network(
        id=network_id(name),
        name=name,
        driver="bridge",
        activation=activation,
        subnets=(Subnet(subnet=cidr, gateway=cidr[1]),),
        options=NetworkOptions(**options),  # type: ignore[arg-type]
    )


def published(*specs: str) -> tuple[PublishedPort, ...]:
    """``[address:]host:container[/protocol]``, in the order in which a Docker Engine programs them."""
    ports = []
    for activation, spec in enumerate(specs):
        head, _, protocol = spec.partition("/")
        *address, host_port, container_port = head.split(":")
        ports.append(
            PublishedPort(
                id=f"{activation:04x}" + host_port.encode().hex(),
                protocol=protocol or "tcp",
                host_address=ip_address(address[0]) if address else None,
                host_port=int(host_port),
                container_port=int(container_port),
                activation=activation,
            )
        )
    return tuple(ports)


def container(
    name: str,
    started: int,
    address: str = "",
    on: Network = BRIDGE,
    ports: Iterable[str] = (),
    links: Iterable[tuple[str, str]] = (),
    **fields: object,
) -> Container:
    """A live container with one endpoint (none without an *address*)."""
    endpoints: tuple[Endpoint, ...] = ()
    if address:
        prefix = next(item.subnet.prefixlen for item in on.subnets)
        endpoints = (endpoint(name, on, f"{address}/{prefix}", "eth0"),)
    return Container(
        id=container_id(name),
        name=name,
        live=True,
        run="1.0",
        activation=started,
        network_mode="bridge" if on is BRIDGE else on.name,
        process=ProcessSpec(env=fields.pop("env", ())),  # type: ignore[arg-type]
        endpoints=endpoints,
        ports=published(*ports),
        links=tuple(
            Link(id=container_id(name + alias), source_id=container_id(source), alias=alias, activation=at)
            for at, (source, alias) in enumerate(links)
        ),
        **fields,  # type: ignore[arg-type]
    )


def endpoint(name: str, on: Network, cidr: str, ifname: str) -> Endpoint:
    interface = ip_interface(cidr)
    return Endpoint(id=container_id(ifname + name), network_id=on.id, ifname=ifname, ipv4=interface)  # type: ignore[arg-type]


def stopped(item: Container) -> Container:
    return replace(item, live=False, endpoints=tuple(replace(point, ipv4=None) for point in item.endpoints))


def host(*containers: Container, networks: Iterable[Network] = (BRIDGE,), settings: HostSettings = DOCKER) -> Host:
    return Host(
        id="f" * 64,
        settings=settings,
        networks=(HOST_NETWORK, NONE_NETWORK, *networks),
        containers=containers,
    )


@dataclass(frozen=True)
class Stage:
    """One capture: its folder, the state that was wanted, and what Docker leaves behind there and we do not."""

    folder: str
    make: Callable[[], Host]
    leaked: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.folder


def _user_network() -> tuple[Network, Network]:
    net1 = network("net1", "172.18.0.0/16", 4)
    return net1, network("net2", "10.77.0.0/24", 5, bridge_name="cnmbr0")


def _user_network_opts() -> Host:
    noicc = network("noicc", "172.18.0.0/16", 4, icc=False)
    nomasq = network("nomasq", "172.19.0.0/16", 5, masquerade=False)
    bindlo = network("bindlo", "172.20.0.0/16", 6, host_binding=IPv4Address("127.0.0.1"), mtu=1400)
    return host(
        container("web", 1, "172.20.0.2", bindlo, ["8080:80"]),
        container("ic", 2, "172.18.0.2", noicc, ["8081:81"]),
        container("nm", 3, "172.19.0.2", nomasq, ["8082:82"]),
        networks=(BRIDGE, noicc, nomasq, bindlo),
    )


def _publish_others() -> tuple[Container, ...]:
    return (
        container("udp", 2, "172.17.0.3", ports=["5353:53/udp"]),
        container("hostip", 3, "172.17.0.4", ports=["127.0.0.1:8081:81"]),
        container("range", 4, "172.17.0.5", ports=["9002:9102", "9001:9101", "9000:9100"]),
        container("hostip_udp", 5, "172.17.0.6", ports=["192.0.2.2:5354:53/udp"]),
        container("multi", 6, "172.17.0.7", ports=["127.0.0.1:8092:80", "8091:80", "8090:80"]),
        container("exposed", 7, "172.17.0.8", exposed_ports=((7000, "tcp"),)),
    )


def _tcp(started: int) -> Container:
    return container("tcp", started, "172.17.0.2", ports=["8080:80"])


def _link_db(**fields: object) -> Container:
    return container(
        "db",
        1,
        "172.17.0.2",
        hostname="dbhost",
        env=(("FOO", "1"), ("BAR", "two words")),
        exposed_ports=((5432, "tcp"), (5433, "udp")),
        **fields,  # type: ignore[arg-type]
    )


def _link(*, db: bool = True, web: bool = True, link: bool = True) -> Host:
    recipient = container("web", 2, "172.17.0.3", links=[("db", "database")] if link else ())
    second = container("web2", 3, "172.17.0.4", links=[("db", "db")] if db else ())
    return host(*([_link_db()] if db else []), recipient if web else stopped(recipient), second)


_ICC_FALSE = default_bridge(icc=False)
_PAIRS_OF_DB = (
    "-A DOCKER -s 172.17.0.3/32 -d 172.17.0.2/32 -i docker0 -o docker0 -p tcp -m tcp --dport 5432 -j ACCEPT",
    "-A DOCKER -s 172.17.0.2/32 -d 172.17.0.3/32 -i docker0 -o docker0 -p tcp -m tcp --sport 5432 -j ACCEPT",
    "-A DOCKER -s 172.17.0.3/32 -d 172.17.0.2/32 -i docker0 -o docker0 -p udp -m udp --dport 53 -j ACCEPT",
    "-A DOCKER -s 172.17.0.2/32 -d 172.17.0.3/32 -i docker0 -o docker0 -p udp -m udp --sport 53 -j ACCEPT",
)
"""The leak that the README of the captures names: the rules of a source that was restarted after its recipient stay for ever."""


def _icc_false_link(*, pub: bool = True, db: str = "live", web: str = "live", children: bool = True) -> Host:
    source = container("db", 1 if db == "live" else 5, "172.17.0.2", exposed_ports=((53, "udp"), (5432, "tcp")))
    recipient = container("web", 2, "172.17.0.3", links=[("db", "db")])
    link = replace(recipient.links[0], last_ipv4=IPv4Address("172.17.0.2"))
    recipient = replace(recipient, links=(link,))
    third = container("pub", 3, "172.17.0.4", ports=["8080:80"])
    fourth = container("web2", 4, "172.17.0.5", links=[("pub", "pub")])
    found = [stopped(source) if db == "stopped" else source]
    if children:
        found.append(stopped(recipient) if web == "stopped" else recipient)
    if pub:
        found += [third, fourth] if children else [third]
    return host(*found, networks=(_ICC_FALSE,))


def _dns_options() -> Host:
    net1 = network("net1", "172.18.0.0/16", 4)
    chosen = {
        "hostname": "myhost",
        "domainname": "ex.test",
        "dns": ("198.51.100.7", "198.51.100.8"),
        "dns_search": ("a.example",),
        "dns_options": ("ndots:2",),
        "extra_hosts": (("extra", "10.1.2.3"), ("v6", "2001:db8::1")),
    }
    on_host = replace(container("hostnet", 7), network_mode="host")
    on_none = replace(container("nonenet", 8), network_mode="none")
    shared = replace(container("shared", 9), network_mode=f"container:{container_id('dbridge')}")
    return host(
        container("dbridge", 1, "172.17.0.2", **chosen),  # type: ignore[arg-type]
        container("pbridge", 2, "172.17.0.3"),
        container("hbridge", 3, "172.17.0.4", hostname="h.dom.test"),
        container("dnet1", 4, "172.18.0.2", net1, **chosen),  # type: ignore[arg-type]
        container("pnet1", 5, "172.18.0.3", net1),
        container("hnet1", 6, "172.18.0.4", net1, hostname="h.dom.test"),
        on_host,
        on_none,
        shared,
        container("dot", 10, "172.17.0.5", dns_search=(".",)),
        networks=(BRIDGE, net1),
    )


def _two_networks(*, first: bool = True, second: bool = True, peer: bool = False) -> Host:
    net1, net2 = network("net1", "172.18.0.0/16", 4), network("net2", "172.19.0.0/16", 5)
    endpoints = []
    if first:
        endpoints.append(endpoint("c1", net1, "172.18.0.2/16", "eth0"))
    if second:
        endpoints.append(endpoint("c1", net2, "172.19.0.2/16", "eth1"))
    c1 = replace(container("c1", 1, ports=["8080:80"]), network_mode="net1", endpoints=tuple(endpoints))
    others = [container("c2", 2, "172.19.0.3", net2)] if peer else []
    return host(c1, *others, networks=(BRIDGE, net1, net2))


_BIP = default_bridge("192.168.5.1/24", mtu=1400)


def _publish_all() -> Host:
    return host(_tcp(1), *_publish_others())


STAGES = (
    Stage("fresh", host),
    Stage("user-network/created", lambda: host(networks=(BRIDGE, _user_network()[0]))),
    Stage("user-network/created-with-ipam", lambda: host(networks=(BRIDGE, *_user_network()))),
    Stage("user-network/removed", host),
    Stage("user-network-opts", _user_network_opts),
    Stage("publish/tcp", lambda: host(_tcp(1))),
    Stage("publish/all", _publish_all),
    Stage("publish/after-stop-tcp", lambda: host(stopped(_tcp(1)), *_publish_others())),
    Stage("publish/after-start-tcp", lambda: host(_tcp(10), *_publish_others())),
    Stage("publish/removed", host),
    Stage(
        "publish-no-userland-proxy",
        lambda: host(
            container("web", 1, "172.17.0.2", ports=["127.0.0.1:8081:81", "8080:80"]),
            settings=replace(DOCKER, userland_proxy=False),
        ),
    ),
    Stage("link", _link),
    Stage("link/after-db-restart", _link),
    Stage("link/after-web-stopped", lambda: _link(web=False)),
    Stage("link/after-db-removed", lambda: _link(db=False, link=False)),
    Stage("icc-false/fresh", lambda: host(networks=(_ICC_FALSE,))),
    Stage(
        "icc-false/two-containers",
        lambda: host(
            container("aa", 1, "172.17.0.2"),
            container("bb", 2, "172.17.0.3", exposed_ports=((80, "tcp"),)),
            networks=(_ICC_FALSE,),
        ),
    ),
    Stage("icc-false-link/linked", lambda: _icc_false_link(pub=False)),
    Stage("icc-false-link/linked-and-published", _icc_false_link),
    Stage("icc-false-link/after-db-stop", lambda: _icc_false_link(db="stopped")),
    Stage("icc-false-link/after-db-start", lambda: _icc_false_link(db="restarted")),
    Stage("icc-false-link/after-web-stop", lambda: _icc_false_link(db="restarted", web="stopped"), leaked=_PAIRS_OF_DB),
    Stage(
        "icc-false-link/after-rm-children",
        lambda: _icc_false_link(db="restarted", children=False),
        leaked=_PAIRS_OF_DB,
    ),
    Stage(
        "bip-fixed-cidr-mtu",
        lambda: host(
            container("c1", 1, "192.168.5.128", _BIP, ["8080:80"]),
            container("c2", 2, "192.168.5.129", _BIP),
            networks=(_BIP,),
        ),
    ),
    Stage(
        "ip-forward-false",
        lambda: host(container("c1", 1, "172.17.0.2", ports=["8080:80"]), settings=replace(DOCKER, ip_forward=False)),
    ),
    Stage("dns-options", _dns_options),
    Stage("bridge-none", lambda: host(networks=())),
    Stage("two-networks/before-connect", lambda: _two_networks(second=False)),
    Stage("two-networks/after-connect", _two_networks),
    Stage("two-networks/with-peer", lambda: _two_networks(peer=True)),
    Stage("two-networks/after-disconnect-net1", lambda: _two_networks(first=False, peer=True)),
)
