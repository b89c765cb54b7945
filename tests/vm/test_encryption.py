"""Encrypted overlay networks on a kernel with ESP: what is on the wire, what is refused, and an exchange of keys under a running ping.

Two hosts, each a namespace, with real services, reconcilers and handlers over one database; a stranger on the same wire.
"""

from __future__ import annotations

import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
import pytest_django
from django.test.utils import setup_databases, teardown_databases

from networks import associations, feed
from networks.cnm.associations import spi_of
from networks.load import load_facts
from networks.models import Container, Host, Network, Operation, SecurityAssociation
from networks.services import containers
from networks.services import networks as network_services
from networks.services.spec_container import read_container
from networks.services.spec_network import read_network
from tests.testlib.world import OPERATOR

from .real import NETNS, OUTSIDE, Real, entering, plug_in, run, within

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1500)]
_KEPT: list[list[Real]] = []
"""What handlers hold open ends with the process, as in the product."""
PATTERN = "5ec7e7c0de"
ENCRYPTED_PORT, CLEAR_PORT = 4790, 4789
MARKER = b"forged by a stranger"
STRANGER = NETNS / "stranger"
GENTLE_S = 0.05
"""Twenty packets a second."""


@pytest.fixture(scope="module")
def database(django_db_modify_db_settings: None, django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[None]:
    """A database of this module's own, in which what a test wrote stays: so does what it did to the kernel."""
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
        yield
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="module")
def hosts(database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Real]]:
    """A container on each, on a network that is encrypted and on one that is not."""
    folder = tmp_path_factory.mktemp("hosts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(associations, "GRACE", timedelta(0))
        made = [Real(1, folder, "iptables-nft"), Real(2, folder, "nftables")]
        _KEPT.append(made)
        plug_in(STRANGER.name, "192.0.2.66")
        for name, options in (("app", {"encrypted": ""}), ("open", {})):
            body = {"name": name, "driver": "overlay", "internal": True, "options": options}
            network_services.create_network(OPERATOR, made[0].row, read_network(body))
            made[0].work()
        for host in made:
            body = {"name": f"on-{host.name}", "kind": "sandbox", "networks": ["app", "open"]}
            containers.run_container(OPERATOR, host.row, read_container(body))
            host.work()
        settle_down(made)
        yield made


def settle_down(hosts: list[Real]) -> None:
    for _ in range(10):
        for host in hosts:
            associations.tend(host.row)
        if not sum(host.work() for host in hosts):
            failed = Operation.objects.filter(state="failed")
            assert not failed, [row.error for row in failed]
            return
    raise AssertionError("the hosts never came to an end")


def pings(one: Real, other: Real, *words: str, network: str = "app") -> bool:
    there = other.address_of(f"on-{other.name}", network)
    command = ("ping", "-n", "-c3", "-i0.2", "-W3", *words, there)
    return "3 received" in run(*command, ns=one.sandbox_of(f"on-{one.name}"), check=False)


@contextmanager
def on_the_wire(folder: Path, *expression: str) -> Iterator[Path]:
    """A file of what passed between the hosts meanwhile."""
    file = folder / f"{time.monotonic_ns()}.pcap"
    command = [*entering(OUTSIDE), "tcpdump", "-n", "-i", "br0", "-U", "-w", str(file), "-Z", "root", *expression]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as taken:
        assert taken.stderr is not None
        while "listening" not in taken.stderr.readline():
            assert taken.poll() is None
        try:
            yield file
            time.sleep(1)
        finally:
            taken.send_signal(signal.SIGINT)
            taken.communicate(timeout=60)


def printed(file: Path) -> list[str]:
    """A line for each packet of IP, neighbours' and routers' own aside. What is inside of one in the clear has lines of its own."""
    lines = run("tcpdump", "-n", "-r", str(file)).splitlines()
    return [line for line in lines if re.match(r"[0-9:.]+ IP6? ", line) and " ICMP6, " not in line]


def test_the_wire_shows_esp_alone_and_nothing_of_what_is_sent(hosts: list[Real], tmp_path: Path) -> None:
    one, two = hosts
    with on_the_wire(tmp_path) as file:
        assert pings(one, two, "-p", PATTERN)
        assert pings(two, one, "-p", PATTERN)
    lines = printed(file)
    assert len(lines) >= 12
    assert [line for line in lines if "ESP(spi=" not in line] == []
    spis = {int(found[1], 16) for line in lines if (found := re.search(r"spi=(0x[0-9a-f]+)", line))}
    assert spis == {spi_of(number) for number in SecurityAssociation.objects.values_list("pk", flat=True)}
    assert bytes.fromhex(PATTERN) not in file.read_bytes()
    with on_the_wire(tmp_path) as file:
        assert pings(one, two, "-p", PATTERN, network="open")
    assert all("VXLAN" in line for line in printed(file)), "of the network in the clear all is seen"
    assert bytes.fromhex(PATTERN) in file.read_bytes()


def test_a_packet_that_fills_the_mtu_passes_in_one_piece(hosts: list[Real], tmp_path: Path) -> None:
    one, two = hosts
    with on_the_wire(tmp_path) as file:
        assert pings(one, two, "-M", "do", "-s", str(1416 - 28))
    lines = printed(file)
    assert len(lines) == 6
    assert not [line for line in lines if "frag" in line]
    assert max(int(line.rpartition(" ")[2]) for line in lines) == 1500 - 20
    assert not pings(one, two, "-M", "do", "-s", str(1416 - 27))


def forged(host: Real, network: str) -> bytes:
    """A frame for the container of *host*, in VXLAN: a datagram that claims to come from its neighbour."""
    row = Network.objects.get(name=network)
    endpoint = Container.objects.get(name=f"on-{host.name}").endpoints.get(network=row)
    there = ip_address(endpoint.ipv4.partition("/")[0])
    datagram = struct.pack("!4H", 9, 9, 8 + len(MARKER), 0) + MARKER
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0, (there + 50).packed, there.packed
    )
    header = header[:10] + checksum(header) + header[12:]
    frame = bytes.fromhex(endpoint.mac.replace(":", "")) + bytes.fromhex("02420a000099") + b"\x08\x00"
    return struct.pack("!II", 0x08000000, int(row.vni or 0) << 8) + frame + header + datagram


def checksum(header: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def arrives(host: Real, network: str, port: int) -> bool:
    """Whether a frame that a stranger sends in the clear reaches the container of *host*."""
    packet = forged(host, network)
    with within(host.sandbox_of(f"on-{host.name}")):
        listening = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    with within(STRANGER):
        sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with listening, sending:
        for _ in range(3):
            sending.sendto(packet, (host.address, port))
        deadline = time.monotonic() + 3
        while (left := deadline - time.monotonic()) > 0:
            listening.settimeout(left)
            try:
                if MARKER in listening.recv(2048):
                    return True
            except TimeoutError:
                break
    return False


def flush_rules(host: Real) -> None:
    run("nft", "flush", "ruleset", ns=host.ns)


def repair(*hosts: Real) -> None:
    for host in hosts:
        number = Operation.objects.next_number()
        Operation.objects.create(number=number, host=host.row, verb="host.repair", scope={"all": True})
    for host in hosts:
        host.work()


def test_what_is_sent_in_the_clear_is_refused_by_policy_and_by_rule(hosts: list[Real]) -> None:
    for host in hosts:
        assert arrives(host, "open", CLEAR_PORT), "a forged frame is a good one, where nothing is encrypted"
        for port in (ENCRYPTED_PORT, CLEAR_PORT):
            assert not arrives(host, "app", port)
        flush_rules(host)
        assert not arrives(host, "app", ENCRYPTED_PORT), "the policy holds without the rule"
        run("ip", "xfrm", "policy", "flush", ns=host.ns)
        assert arrives(host, "app", ENCRYPTED_PORT), "with neither of them it would pass: so these are what hold it"
        repair(host)
        run("ip", "xfrm", "policy", "flush", ns=host.ns)
        assert not arrives(host, "app", ENCRYPTED_PORT), "the rule holds without the policy"
        repair(host)
        assert not arrives(host, "app", ENCRYPTED_PORT)
    assert pings(*hosts)


def test_nothing_leaves_in_the_clear_whichever_is_gone(hosts: list[Real], tmp_path: Path) -> None:
    one, two = hosts
    for gone in (("ip", "xfrm", "policy", "flush"), ("nft", "flush", "ruleset")):
        run(*gone, ns=one.ns)
        if gone[0] == "nft":
            run("ip", "xfrm", "state", "flush", ns=one.ns)
        with on_the_wire(tmp_path, "udp", "or", "esp") as file:
            assert not pings(one, two, "-p", PATTERN)
        assert not [line for line in printed(file) if f"{one.address}." in line], gone
        repair(one)
        settle_down(hosts)
        assert pings(one, two)


@contextmanager
def running_ping(one: Real, other: Real) -> Iterator[list[str]]:
    """Twenty packets a second from *one* to *other*; at its end the list holds what was said of them."""
    command = ["ping", "-n", "-i", str(GENTLE_S), other.address_of(f"on-{other.name}")]
    sandbox = one.sandbox_of(f"on-{one.name}")
    said: list[str] = []
    with subprocess.Popen([*entering(sandbox), *command], stdout=subprocess.PIPE, text=True) as running:
        try:
            yield said
            time.sleep(2)
        finally:
            running.send_signal(signal.SIGINT)
            said.append(running.communicate(timeout=60)[0])


def test_keys_are_exchanged_under_a_running_ping_and_no_packet_is_lost(hosts: list[Real]) -> None:
    one, two = hosts
    used = set(SecurityAssociation.objects.values_list("pk", flat=True))
    with running_ping(one, two) as there, running_ping(two, one) as back:
        for _ in range(2):
            with feed.transaction("anna"):
                assert associations.rotate() == 2
            for _ in range(3):  # taken in, sent by, and the old ones gone
                for host in hosts:
                    host.work(1)
                    time.sleep(1)  # some packets at each stand of things
            settle_down(hosts)
            after = set(SecurityAssociation.objects.values_list("pk", flat=True))
            assert len(after) == 2
            assert not after & used
            used |= after
    for said in (there[0], back[0]):
        sent = int(re.findall(r"(\d+) packets transmitted", said)[0])
        answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", said)}
        assert sent > 100, said[-300:]
        # Whoever ends a ping does not wait for the answer to its last packet, which may have left a moment before.
        assert set(range(1, sent)) - answered == set(), said[-300:]
    held = run("ip", "xfrm", "state", ns=one.ns)
    spis = {int(found, 16) for found in re.findall(r"spi (0x[0-9a-f]+)", held)}
    assert spis == {spi_of(number) for number in SecurityAssociation.objects.values_list("pk", flat=True)}
    for counter in ("XfrmInNoStates", "XfrmInStateSeqError", "XfrmInStateProtoError", "XfrmOutNoStates"):
        for host in hosts:
            counted = run("cat", "/proc/net/xfrm_stat", ns=host.ns)
            if counter.startswith("XfrmIn"):
                assert re.search(rf"{counter}\s+0$", counted, re.MULTILINE), counted


def test_what_a_kernel_has_lost_is_made_anew_and_never_written_again(hosts: list[Real]) -> None:
    before = set(SecurityAssociation.objects.values_list("pk", flat=True))
    run("ip", "xfrm", "state", "flush", ns=hosts[0].ns)
    assert not pings(*hosts)
    repair(hosts[0])
    settle_down(hosts)
    assert pings(*hosts)
    assert not before & set(SecurityAssociation.objects.values_list("pk", flat=True))


def test_drift_of_states_and_policies_is_seen(hosts: list[Real]) -> None:
    one = hosts[0]
    state = SecurityAssociation.objects.get(receiver=one.row)
    run("ip", "xfrm", "state", "delete", "src", hosts[1].address, "dst", one.address, "proto", "esp",
        "spi", hex(spi_of(state.pk)), ns=one.ns)  # fmt: skip
    run("ip", "xfrm", "policy", "delete", "src", "0.0.0.0/0", "dst", "0.0.0.0/0", "proto", "udp",
        "dport", str(ENCRYPTED_PORT), "dir", "in", ns=one.ns)  # fmt: skip
    with within(one.ns):
        found = [item.key for item in one.reconciler.machine.observe((), whole={"xfrm-state", "xfrm-policy"})]
    missing = {item.key for item in one.reconciler.applied if item.kind.startswith("xfrm")} - set(found)
    assert sorted(key[0] for key in missing) == ["xfrm-policy", "xfrm-state"]
    repair(one)
    settle_down(hosts)
    assert pings(*hosts)


def test_hosts_move_to_an_underlay_of_ipv6(hosts: list[Real], tmp_path: Path) -> None:
    for number, host in enumerate(hosts, 1):
        moved = f"2001:db8::{number}"
        run("ip", "address", "add", f"{moved}/64", "dev", "eth0", "nodad", ns=host.ns)
        row = Host.objects.get(pk=host.row.pk)
        facts = replace(load_facts(row), version="2", addresses=(("eth0", ip_interface(f"{moved}/64")),))
        row.facts, row.underlay, row.underlay_room = facts.to_json(), moved, 1430
        row.save()
        host.row.facts, host.row.underlay, host.row.underlay_room = row.facts, moved, 1430
    repair(*hosts)
    settle_down(hosts)
    with on_the_wire(tmp_path) as file:
        assert pings(*hosts, "-M", "do", "-s", str(1396 - 28))
    lines = printed(file)
    assert len(lines) == 6
    assert all("IP6 2001:db8::" in line and "ESP(spi=" in line for line in lines), lines


def test_nothing_of_it_is_left(hosts: list[Real]) -> None:
    for host in hosts:
        containers.remove_container(OPERATOR, Container.objects.get(name=f"on-{host.name}"), force=True)
    settle_down(hosts)
    assert not SecurityAssociation.objects.exists()
    for host in hosts:
        for kind in ("state", "policy"):
            assert run("ip", "xfrm", kind, ns=host.ns) == ""
        assert str(ENCRYPTED_PORT) not in run("nft", "list", "ruleset", ns=host.ns)
        assert "vxlan" not in run("ip", "-d", "link", ns=host.ns)
