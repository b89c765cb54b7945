"""A host with every kind of network, port and link, and the handlers that put its rules into a kernel."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_interface
from pathlib import Path

from networks.cnm.desired import Container, Endpoint, Host, HostSettings, Link, Network, PublishedPort
from networks.cnm.facts import HostFacts
from networks.cnm.iptables_text import SavedRule
from networks.cnm.plan import Plan, Step
from networks.cnm.resources import Resource
from tests.testlib.desired import identity, network, published
from worker.apply.rules import RulesHandler
from worker.compile import compile_host
from worker.diff import diff
from worker.firewall.backend import Backend, Script
from worker.firewall.iptables import Iptables
from worker.firewall.nft.backend import Nft
from worker.firewall.nft.expressions import FAMILIES, chain_name
from worker.firewall.nft.table import NAME

RUN_DIR = Path("/run/cnm")
FACTS = HostFacts(hostname="vm", resolv_conf="nameserver 192.0.2.53\n")
CNM = HostSettings()
DOCKER = HostSettings(names="docker")


def container(
    number: int, on: Network, *addresses: str, ports: tuple[PublishedPort, ...] = (), links: tuple[Link, ...] = ()
) -> Container:
    interfaces = [ip_interface(address) for address in addresses]
    endpoint = Endpoint(
        id=identity(number),
        network_id=on.id,
        ifname="eth0",
        ipv4=next((item for item in interfaces if item.version == 4), None),
        ipv6=next((item for item in interfaces if item.version == 6), None),
    )
    return Container(
        id=identity(number),
        name=f"c{number}",
        kind="sandbox",
        live=True,
        run="1.0",
        activation=number,
        endpoints=(endpoint,),
        ports=ports,
        links=links,
    )


def port(
    number: int, host_port: int, container_port: int, protocol: str = "tcp", address: str = "", *sources: str
) -> PublishedPort:
    fields = {"id": identity(number), "protocol": protocol, "container_port": container_port, "activation": number}
    return published(host_port, address, *sources, **fields)


BRIDGE = network(1, "bridge", "172.30.0.0/16", icc=False)
WEB = network(2, "web", "172.31.0.0/24", "fd00:31::/64")


SPANNING = replace(network(9, "spanning", "10.0.0.0/24", encrypted=True), driver="overlay", scope="global", vni=4096)


def small(*ports: PublishedPort, settings: HostSettings = CNM) -> Host:
    """The default bridge with one container."""
    bridge = network(1, "bridge", "172.30.0.0/16")
    return Host(
        id=identity(0xF0),
        settings=settings,
        networks=(bridge,),
        containers=(container(16, bridge, "172.30.0.2/16", ports=ports),),
    )


def everything(settings: HostSettings = CNM) -> Host:
    """One of each: both families, every gateway mode, internal networks, links, restricted and loopback ports, one that is encrypted."""
    many = network(3, "many", "172.31.1.0/24", "172.31.2.0/24", internal=True)
    closed = network(4, "closed", "172.31.3.0/24", "fd00:33::/64", internal=True, icc=False)
    routed = network(
        5, "routed", "172.31.4.0/24", "fd00:34::/64", gateway_mode_ipv4="routed", gateway_mode_ipv6="routed"
    )
    open_ = network(6, "open", "172.31.5.0/24", gateway_mode_ipv4="nat-unprotected")
    fixed = network(7, "fixed", "172.31.6.0/24", "fd00:36::/64")
    fixed = replace(
        fixed,
        options=replace(fixed.options, host_ipv4=IPv4Address("192.0.2.9"), host_ipv6=IPv6Address("2001:db8::9")),
    )
    unmasked = network(8, "unmasked", "172.31.7.0/24", masquerade=False, icc=False)
    ports = (
        port(20, 8080, 80),
        port(21, 5353, 53, "udp", "192.0.2.2"),
        port(22, 8081, 81, "tcp", "127.0.0.1"),
        port(23, 9000, 80, "tcp", "", "10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"),
        port(24, 9001, 80, "sctp", "192.0.2.2", "0.0.0.0/0"),
        port(25, 9002, 90, "tcp", "::"),
        port(26, 9003, 80, "tcp", "2001:db8::2", "fd00::/8"),
    )
    source = replace(container(17, BRIDGE, "172.30.0.3/16"), exposed_ports=((53, "udp"), (5432, "tcp")))
    link = Link(id=identity(40), source_id=source.id, alias="db", activation=1)
    return Host(
        id=identity(0xF0),
        settings=settings,
        networks=(BRIDGE, WEB, many, closed, routed, open_, fixed, unmasked, SPANNING),
        containers=(
            source,
            container(18, BRIDGE, "172.30.0.4/16", ports=(port(27, 8085, 85),), links=(link,)),
            container(19, WEB, "172.31.0.2/24", "fd00:31::2/64", ports=ports),
            container(
                30,
                routed,
                "172.31.4.2/24",
                "fd00:34::2/64",
                ports=(port(28, 0, 443), port(29, 0, 1, "udp", "", "10.0.0.0/8")),
            ),
            container(31, open_, "172.31.5.2/24", ports=(port(32, 7000, 7000),)),
            container(33, unmasked, "172.31.7.2/24", ports=(port(34, 7001, 7000),)),
            container(37, SPANNING, "10.0.0.2/24"),
            container(35, closed, "172.31.3.2/24", "fd00:33::2/64", ports=(port(36, 7002, 7000),)),
        ),
    )


def backend(flavour: str) -> Backend:
    return Nft() if flavour == "nftables" else Iptables(flavour)


def handler(flavour: str, settings: HostSettings = CNM) -> RulesHandler:
    return RulesHandler(backend(flavour), settings.naming, RUN_DIR)


def rules_of(host: Host) -> list[Resource]:
    return [item for item in compile_host(host, FACTS) if item.kind in {"rule", "chain"}]


def plan_to(handler: RulesHandler, host: Host) -> Plan:
    return diff(rules_of(host), handler.observe(None))


def take_to(handler: RulesHandler, host: Host) -> Plan:
    """Apply what is missing, and see that nothing is missing afterwards, neither remembered nor read anew."""
    plan = plan_to(handler, host)
    done: list[Step] = []
    handler.apply(plan.steps, done.append)
    assert done == list(plan.steps)
    assert not plan_to(handler, host)
    handler.reader.forget()
    left = plan_to(handler, host)
    assert not left, [step.describe() for step in left]
    return plan


def lines(flavour: str, table: str, chain: str, family: int = 4) -> list[str]:
    """The rules of one chain, as iptables-save prints them now."""
    return [line.text for line in saved(flavour, family) if (line.table, line.chain) == (table, chain)]


def saved(flavour: str, family: int = 4) -> tuple[SavedRule, ...]:
    """What stands in the kernel; of nftables, chains and the rules of maps and sets in a fixed order."""
    found = backend(flavour).read(family).lines
    if flavour == "nftables":
        found = tuple(sorted(found, key=lambda line: (line.table, line.chain)))
    slotted = sorted((line for line in found if line.via), key=lambda line: (line.table, line.chain, line.text))
    return (*(line for line in found if not line.via), *slotted)


def command(flavour: str, words: str, family: int = 4) -> None:
    """A change by hand: ``-t nat -F CNM``."""
    if flavour == "nftables":
        _nft_command(words, family)
        return
    program = flavour if family == 4 else flavour.replace("iptables", "ip6tables")
    subprocess.run([program, "-w", *words.split()], check=True, timeout=20)


def nft(words: str) -> str:
    """A change by hand, in nft's own words."""
    return subprocess.run(["nft", *words.split(" ")], check=True, capture_output=True, text=True, timeout=20).stdout


def _nft_command(words: str, family: int) -> None:
    """The same change in our own table of nftables, numbers counting the rules that stand in the chain."""
    table, rest = ("filter", words) if not words.startswith("-t ") else words.split(" ", 2)[1:]
    verb, chain, *more = rest.split(" ")
    standing = [
        line for line in Nft().read(family).lines if (line.table, line.chain) == (table, chain) and not line.via
    ]
    if verb == "-F":
        nft(f"flush chain {FAMILIES[family]} {NAME} {chain_name(table, chain)}")
        return
    script = [f"-D {standing[int(more[0]) - 1].text[3:]}"] if verb == "-D" else [rest]
    Nft().carry_out({family: Script({table: tuple(script)})})


NOTHING = Host(id=identity(0xF0), settings=replace(CNM, iptables=False))
