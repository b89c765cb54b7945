"""What the rules are for: real TCP and UDP between the outside, the host and containers, in each backend."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from networks.cnm.desired import Host, Link
from networks.cnm.names import sandbox_name
from tests.kernel.rules_lab import CNM, FACTS, RUN_DIR, container, port
from tests.testlib.bottle import MakeBottle
from tests.testlib.desired import identity, network
from worker.apply.links import LinksHandler
from worker.apply.rules import RulesHandler
from worker.apply.sysctls import SysctlsHandler
from worker.compile import compile_host
from worker.diff import diff
from worker.firewall.flavour import BACKENDS, backend_of
from worker.machine import Machine

pytestmark = pytest.mark.kernel

OUTSIDE = "/run/bottle/outside"
HOST = "/proc/1/ns/net"
HOST_IPV4, HOST_IPV6, OUTSIDE_IPV4, OUTSIDE_IPV6 = "192.0.2.2", "2001:db8::2", "192.0.2.1", "2001:db8::1"
BLOCKED_S = 0.8
"""How long a packet is waited for that should not come."""
ARRIVES_S = 5.0

# Answers every connection or packet with the address and port that it came from.
SERVER = """
import socket, sys
protocol, port = sys.argv[1], int(sys.argv[2])
kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
server = socket.socket(socket.AF_INET6, kind)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("::", port))
if protocol == "tcp":
    server.listen()
print("ready", flush=True)
while True:
    if protocol == "tcp":
        client, peer = server.accept()
        client.sendall(peer[0].removeprefix("::ffff:").encode())
        client.close()
    else:
        _, peer = server.recvfrom(100)
        server.sendto(peer[0].removeprefix("::ffff:").encode(), peer)
"""
CLIENT = """
import socket, sys
protocol, address, port, timeout, source, source_port = sys.argv[1:]
kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
client.settimeout(float(timeout))
client.bind((source, int(source_port)))
try:
    client.connect((address, int(port)))
    if protocol == "udp":
        client.send(b"?")
    print(client.recv(100).decode())
except OSError:
    pass
"""


def within(namespace: str, *words: str) -> list[str]:
    path = namespace if namespace.startswith("/") else f"/run/netns/{namespace}"
    return ["nsenter", f"--net={path}", "--", *words]


@contextmanager
def serving(namespace: str, protocol: str, number: int) -> Iterator[None]:
    command = within(namespace, sys.executable, "-c", SERVER, protocol, str(number))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.kill()


def ask(
    namespace: str,
    address: str,
    number: int,
    protocol: str = "tcp",
    *,
    source: str = "",
    source_port: int = 0,
    wait: float = ARRIVES_S,
) -> str:
    """The address under which the server saw the caller; empty when nothing came back in time."""
    words = (protocol, address, str(number), str(wait), source, str(source_port))
    done = subprocess.run(
        within(namespace, sys.executable, "-c", CLIENT, *words), capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip()


def is_blocked(namespace: str, address: str, number: int, protocol: str = "tcp", **fields: object) -> bool:
    return not ask(namespace, address, number, protocol, wait=BLOCKED_S, **fields)  # type: ignore[arg-type]


def let_through(*tries: tuple[str, str, int, str, int]) -> list[tuple[str, str, int, str, int]]:
    """Those of *tries* (namespace, address, port, protocol, source port) that are not blocked; all are waited for at once."""

    def blocked(tried: tuple[str, str, int, str, int]) -> bool:
        namespace, address, number, protocol, source_port = tried
        return is_blocked(namespace, address, number, protocol, source_port=source_port)

    with ThreadPoolExecutor(len(tries)) as pool:
        return [tried for tried, is_so in zip(tries, pool.map(blocked, tries), strict=True) if not is_so]


class Lab:
    """The handlers of a host for everything that packets meet."""

    def __init__(self, flavour: str) -> None:
        rules = RulesHandler(backend_of(flavour), CNM.naming, RUN_DIR)
        self.machine = Machine([LinksHandler(), SysctlsHandler(), rules])
        self.kinds = {kind for handler in (LinksHandler, SysctlsHandler, RulesHandler) for kind in handler.kinds}

    def take_to(self, *hosts: Host) -> None:
        for host in hosts:
            wanted = [item for item in compile_host(host, FACTS) if item.kind in self.kinds]
            applied = self.machine.apply(diff(wanted, self.machine.observe(None)))
            assert not applied.error, applied.error
            assert not diff(wanted, self.machine.observe(None))


def in_each_backend(function: Callable[[Lab], None]) -> Callable[[MakeBottle, str], None]:
    @pytest.mark.parametrize("flavour", BACKENDS)
    def test(bottles: MakeBottle, flavour: str) -> None:
        bottles(uplink=True).call(run, function.__name__, flavour)

    test.__name__, test.__doc__, test.__module__ = function.__name__, function.__doc__, function.__module__
    test.inner = function  # type: ignore[attr-defined]
    return test


def run(name: str, flavour: str) -> None:
    globals()[name].inner(Lab(flavour))


def route_from_outside(subnet: str) -> None:
    """Whoever is beside the host on its LAN can send straight to a container's address."""
    subprocess.run(within(OUTSIDE, "ip", "route", "add", subnet, "via", HOST_IPV4), check=True)


OPEN = network(1, "bridge", "172.30.0.0/16")
CLOSED = network(1, "bridge", "172.30.0.0/16", icc=False)
DUAL = network(2, "dual", "172.31.0.0/24", "fd00:31::/64")
FIRST, SECOND, THIRD = (sandbox_name(identity(number)) for number in (16, 17, 18))
SOFT = replace(CNM, hardening=False)


def host(*containers: object, networks: tuple[object, ...] = (OPEN, DUAL)) -> Host:
    return Host(id=identity(0xF0), networks=networks, containers=containers)  # type: ignore[arg-type]


@in_each_backend
def test_a_published_port_is_reached_from_outside_and_nothing_else_is(lab: Lab) -> None:
    ports = (port(20, 8080, 80), port(21, 5353, 53, "udp"))
    lab.take_to(host(container(16, OPEN, "172.30.0.2/16", ports=ports)))
    route_from_outside("172.30.0.0/16")
    with serving(FIRST, "tcp", 80), serving(FIRST, "udp", 53), serving(FIRST, "tcp", 81):
        assert ask(OUTSIDE, HOST_IPV4, 8080) == OUTSIDE_IPV4
        assert ask(OUTSIDE, HOST_IPV4, 5353, "udp") == OUTSIDE_IPV4
        assert let_through((OUTSIDE, "172.30.0.2", 80, "tcp", 0), (OUTSIDE, "172.30.0.2", 81, "tcp", 0)) == []
        # The host itself reaches both.
        assert ask(HOST, "172.30.0.2", 81) == "172.30.0.1"
        assert ask(HOST, HOST_IPV4, 8080) == HOST_IPV4
        closed = host(container(16, OPEN, "172.30.0.2/16"))
        lab.take_to(closed)
        assert is_blocked(OUTSIDE, HOST_IPV4, 8080)
        lab.take_to(replace(closed, settings=SOFT))
        assert ask(OUTSIDE, "172.30.0.2", 81) == OUTSIDE_IPV4


@in_each_backend
def test_a_published_port_is_reached_over_ipv6(lab: Lab) -> None:
    lab.take_to(host(container(16, DUAL, "172.31.0.2/24", "fd00:31::2/64", ports=(port(20, 8080, 80),))))
    with serving(FIRST, "tcp", 80):
        assert ask(OUTSIDE, HOST_IPV6, 8080) == OUTSIDE_IPV6
        assert ask(OUTSIDE, HOST_IPV4, 8080) == OUTSIDE_IPV4


@in_each_backend
def test_a_container_reaches_the_outside_under_the_hosts_address(lab: Lab) -> None:
    lab.take_to(host(container(16, DUAL, "172.31.0.2/24", "fd00:31::2/64")))
    with serving(OUTSIDE, "tcp", 80), serving(OUTSIDE, "udp", 53):
        assert ask(FIRST, OUTSIDE_IPV4, 80) == HOST_IPV4
        assert ask(FIRST, OUTSIDE_IPV4, 53, "udp") == HOST_IPV4
        assert ask(FIRST, OUTSIDE_IPV6, 80) == HOST_IPV6


@in_each_backend
def test_only_allowed_sources_reach_a_restricted_port(lab: Lab) -> None:
    subprocess.run(within(OUTSIDE, "ip", "address", "add", "192.0.2.77/24", "dev", "eth0"), check=True)
    ports = (port(20, 8080, 80, "tcp", "", "192.0.2.77/32"), port(21, 9090, 80))
    lab.take_to(host(container(16, OPEN, "172.30.0.2/16", ports=ports)))
    with serving(FIRST, "tcp", 80):
        assert ask(OUTSIDE, HOST_IPV4, 8080, source="192.0.2.77") == "192.0.2.77"
        assert is_blocked(OUTSIDE, HOST_IPV4, 8080, source=OUTSIDE_IPV4)
        # Another host port that leads to the same container port is open to everybody.
        assert ask(OUTSIDE, HOST_IPV4, 9090, source=OUTSIDE_IPV4) == OUTSIDE_IPV4


@in_each_backend
def test_only_allowed_sources_reach_the_port_holder(lab: Lab) -> None:
    subprocess.run(within(OUTSIDE, "ip", "address", "add", "2001:db8::77/64", "dev", "eth0", "nodad"), check=True)
    ports = (port(20, 8080, 80, "tcp", "", "192.0.2.77/32", "2001:db8::77/128"),)
    lab.take_to(
        host(
            container(16, DUAL, "172.31.0.2/24", ports=ports),
            container(17, DUAL, "172.31.0.3/24", "fd00:31::3/64"),
        )
    )
    with serving(HOST, "tcp", 8080), serving(HOST, "tcp", 8081):
        # What no rule translates comes to the holder's own socket: from a container, and by IPv6.
        assert is_blocked(SECOND, HOST_IPV4, 8080)
        assert ask(SECOND, HOST_IPV4, 8081) == "172.31.0.3"
        assert is_blocked(OUTSIDE, HOST_IPV6, 8080, source=OUTSIDE_IPV6)
        assert ask(OUTSIDE, HOST_IPV6, 8080, source="2001:db8::77") == "2001:db8::77"
        assert ask(HOST, "127.0.0.1", 8080) == "127.0.0.1"
        assert ask(HOST, "::1", 8080) == "::1"


@in_each_backend
def test_networks_are_kept_apart_and_an_internal_one_cannot_leave(lab: Lab) -> None:
    inner = network(3, "inner", "172.29.0.0/24", internal=True)
    lab.take_to(
        host(
            container(16, OPEN, "172.30.0.2/16"),
            container(17, DUAL, "172.31.0.2/24"),
            container(18, inner, "172.29.0.2/24"),
            networks=(OPEN, DUAL, inner),
        )
    )
    with serving(FIRST, "tcp", 80), serving(OUTSIDE, "tcp", 80), serving(HOST, "tcp", 85):
        kept_apart = ((SECOND, "172.30.0.2"), (THIRD, "172.30.0.2"), (THIRD, OUTSIDE_IPV4))
        assert let_through(*((caller, address, 80, "tcp", 0) for caller, address in kept_apart)) == []
        assert ask(THIRD, "172.29.0.1", 85) == "172.29.0.2"
        assert ask(SECOND, OUTSIDE_IPV4, 80) == HOST_IPV4


@in_each_backend
def test_icc_false_keeps_containers_apart_save_by_links(lab: Lab) -> None:
    source = replace(container(16, CLOSED, "172.30.0.2/16"), exposed_ports=((53, "udp"), (5000, "tcp")))
    link = Link(id=identity(40), source_id=source.id, alias="db")
    recipient = container(17, CLOSED, "172.30.0.3/16", links=(link,))
    third = container(18, CLOSED, "172.30.0.4/16")
    apart = host(source, recipient, third, networks=(CLOSED,))
    lab.take_to(apart)
    with serving(FIRST, "tcp", 5000), serving(FIRST, "tcp", 5001), serving(FIRST, "udp", 53), serving(FIRST, "udp", 54):
        assert ask(SECOND, "172.30.0.2", 5000) == "172.30.0.3"
        assert ask(SECOND, "172.30.0.2", 53, "udp") == "172.30.0.3"
        not_linked = (
            (SECOND, 5001, "tcp"),
            (SECOND, 54, "udp"),
            (SECOND, 53, "tcp"),
            (THIRD, 5000, "tcp"),
            (THIRD, 53, "udp"),
        )
        assert let_through(*((caller, "172.30.0.2", number, kind, 0) for caller, number, kind in not_linked)) == []
        # While the source is stopped nothing stands; at another address the rules are there again, for that one alone.
        stopped = host(replace(source, live=False), recipient, third, networks=(CLOSED,))
        lab.take_to(stopped)
        moved = replace(container(16, CLOSED, "172.30.0.9/16"), exposed_ports=source.exposed_ports)
        lab.take_to(host(moved, recipient, third, networks=(CLOSED,)))
    with serving(FIRST, "tcp", 5000):
        assert ask(SECOND, "172.30.0.9", 5000) == "172.30.0.3"
        lab.take_to(host(moved, replace(recipient, links=()), third, networks=(CLOSED,)))
        assert is_blocked(SECOND, "172.30.0.9", 5000), "the link is gone"
    lab.take_to(stopped, apart)
    with serving(SECOND, "tcp", 6379), serving(SECOND, "udp", 6380), serving(SECOND, "tcp", 5000):
        # A link has one direction; Docker's stateless pair would let the source in by the port that it answers from.
        back = ((5000, "tcp", 0), (6379, "tcp", 5000), (6380, "udp", 53))
        assert let_through(*((FIRST, "172.30.0.3", *words) for words in back)) == []
        lab.take_to(replace(apart, settings=SOFT))
        assert ask(FIRST, "172.30.0.3", 6379, source_port=5000) == "172.30.0.2"
        assert ask(FIRST, "172.30.0.3", 6380, "udp", source_port=53) == "172.30.0.2"


@in_each_backend
def test_without_the_holder_rules_carry_loopback_and_a_container_reaches_itself(lab: Lab) -> None:
    bare = replace(CNM, userland_proxy=False)
    ports = (port(20, 8080, 80), port(21, 8081, 80, "tcp", "127.0.0.1"))
    lab.take_to(replace(host(container(16, OPEN, "172.30.0.2/16", ports=ports)), settings=bare))
    with serving(FIRST, "tcp", 80):
        assert ask(HOST, "127.0.0.1", 8080) == "172.30.0.1"
        assert ask(HOST, "127.0.0.1", 8081) == "172.30.0.1"
        assert ask(FIRST, HOST_IPV4, 8080) == "172.30.0.1"
        assert ask(OUTSIDE, HOST_IPV4, 8080) == OUTSIDE_IPV4
        assert is_blocked(OUTSIDE, HOST_IPV4, 8081)


@in_each_backend
def test_a_flow_from_before_goes_where_the_port_leads_now(lab: Lab) -> None:
    first = container(16, OPEN, "172.30.0.2/16")
    second = container(17, OPEN, "172.30.0.3/16")
    published = (port(20, 5353, 53, "udp"),)
    lab.take_to(host(replace(first, ports=published), second))
    with serving(FIRST, "udp", 53):
        assert ask(OUTSIDE, HOST_IPV4, 5353, "udp", source_port=4000) == OUTSIDE_IPV4
    lab.take_to(host(first, replace(second, ports=published)))
    with serving(SECOND, "udp", 53):
        # The same addresses and ports: the kernel would go on with the old translation.
        assert ask(OUTSIDE, HOST_IPV4, 5353, "udp", source_port=4000) == OUTSIDE_IPV4


@in_each_backend
def test_a_routed_network_is_reached_at_its_published_ports_alone(lab: Lab) -> None:
    routed = network(3, "routed", "172.29.0.0/24", gateway_mode_ipv4="routed")
    lab.take_to(
        host(
            container(16, routed, "172.29.0.2/24", ports=(port(20, 0, 80),)),
            container(17, DUAL, "172.31.0.2/24"),
            networks=(DUAL, routed),
        )
    )
    route_from_outside("172.29.0.0/24")
    with serving(FIRST, "tcp", 80), serving(FIRST, "tcp", 81):
        assert ask(OUTSIDE, "172.29.0.2", 80) == OUTSIDE_IPV4
        assert is_blocked(OUTSIDE, "172.29.0.2", 81)
        assert ask(SECOND, "172.29.0.2", 80)
        assert is_blocked(SECOND, "172.29.0.2", 81)


@in_each_backend
def test_containers_of_an_internal_network_find_each_other_by_ipv6(lab: Lab) -> None:
    inner = network(3, "inner", "172.29.0.0/24", "fd00:29::/64", internal=True)
    lab.take_to(
        host(
            container(16, inner, "172.29.0.2/24", "fd00:29::2/64"),
            container(17, inner, "172.29.0.3/24", "fd00:29::3/64"),
            networks=(inner,),
        )
    )
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        Path(f"/proc/sys/net/bridge/{name}").write_text("1")
    with serving(FIRST, "tcp", 80):
        assert ask(SECOND, "fd00:29::2", 80) == "fd00:29::3"
        assert ask(SECOND, "172.29.0.2", 80) == "172.29.0.3"
