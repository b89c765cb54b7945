"""What others change in the kernel is heard, and by whom where the kernel says so."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from networks.cnm.plan import Step
from networks.cnm.resources import PortReservation
from tests.testlib.bottle import Bottle, inside
from worker.apply.ports import PortsHandler
from worker.kernel import meter, sysctl
from worker.kernel.sockets import bound, bound_by_proc
from worker.monitor.listeners import ListenerSource
from worker.monitor.sources import (
    FileSource,
    HolderSource,
    LegacySource,
    LinkSource,
    NftSource,
    SysctlSource,
    XfrmSource,
)
from worker.runtime.folders import Folders

pytestmark = pytest.mark.kernel
Heard = list[tuple[str, str]]
Hears = LinkSource | NftSource | FileSource | XfrmSource


def sh(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


def hear(source: Hears, within_s: float = 3) -> Heard:
    """What *source* tells at first; empty when it stays silent."""
    heard: Heard = []
    deadline = time.monotonic() + within_s
    while not heard and time.monotonic() < deadline:
        if select.select([source], [], [], 0.1)[0]:
            source.hear(lambda kind, writer: heard.append((kind, writer)))
    return heard


@inside
def test_links_addresses_and_routes_are_heard() -> None:
    source = LinkSource()
    for command in (
        "ip link add d0 type bridge",
        "ip addr add 10.9.0.1/24 dev d0",
        "ip link set d0 up",
        "ip route add 10.10.0.0/24 dev d0",
        "ip link del d0",
    ):
        hear(source, 0.2)  # the echoes of the one before
        sh(command)
        assert ("links", "") in hear(source), command


@inside
def test_policies_of_ipsec_are_heard() -> None:
    source = XfrmSource()
    assert hear(source, 0.2) == []
    flow = "src 192.0.2.1/32 dst 192.0.2.9/32 proto udp dport 4790 dir out"
    for command in (f"ip xfrm policy add {flow} action block", f"ip xfrm policy delete {flow}"):
        sh(command)
        assert hear(source) == [("xfrm", "")], command


@inside
def test_neighbours_and_forwarding_entries_are_heard_when_somebody_writes_them_or_takes_them_away() -> None:
    sh("ip link add v0 type vxlan id 7 dstport 4789 local 127.0.0.1 nolearning")
    sh("ip link set v0 up")
    sh("ip addr add 10.9.0.1/24 dev v0")
    source, mac = LinkSource(), "02:00:00:00:00:01"
    while hear(source, 1.5):  # IPv6 has its own addresses in time
        pass
    for command in (
        f"ip neigh replace 10.9.0.9 lladdr {mac} dev v0 nud permanent",
        "ip neigh delete 10.9.0.9 dev v0",
        f"ip neigh replace fd00::9 lladdr {mac} dev v0 nud permanent",
        "ip neigh delete fd00::9 dev v0",
        f"bridge fdb append {mac} dev v0 dst 192.0.2.9 self permanent",
        f"bridge fdb delete {mac} dev v0 dst 192.0.2.9 self",
    ):
        while hear(source, 0.3):  # the echoes of the one before
            pass
        sh(command)
        assert ("links", "") in hear(source), command


def own_addresses() -> set[str]:
    """The devices that have their own IPv6 address for sure: the kernel takes up to two seconds to find out, and says nothing meanwhile."""
    shown = subprocess.run(["ip", "-j", "-6", "addr", "show"], check=True, capture_output=True, text=True).stdout
    return {
        device["ifname"]
        for device in json.loads(shown)
        if any(one["scope"] == "link" and not one.get("tentative") for one in device["addr_info"])
    } - {"lo"}


@inside
def test_a_neighbour_that_the_kernel_looks_for_by_itself_in_vain_is_no_news() -> None:
    sh("ip link add d0 type bridge")
    sh("ip link add d1 type veth peer name d2")
    sh("ip link set d1 master d0")
    sh("ip addr add 10.9.0.1/24 dev d0")
    for link in ("d0", "d1", "d2"):
        sh(f"ip link set {link} up")
    watched = LinkSource()
    deadline = time.monotonic() + 30
    while own_addresses() != {"d0", "d1", "d2"} and time.monotonic() < deadline:
        time.sleep(0.1)
    while hear(watched, 1.5):
        pass
    subprocess.run(["ping", "-c1", "-W4", "10.9.0.55"], check=False, capture_output=True)
    assert (
        "FAILED"
        in subprocess.run(["ip", "neigh", "show", "10.9.0.55"], check=True, capture_output=True, text=True).stdout
    )
    assert hear(watched, 0.3) == []


@inside
def test_a_rule_is_heard_with_the_program_that_wrote_it() -> None:
    source = NftSource()
    sh("nft add table inet somebody")
    heard = hear(source)
    assert heard[0][0] == "rules"
    assert heard[0][1].startswith("nft (")
    sh("iptables-nft -A FORWARD -j ACCEPT")
    assert any(writer.startswith("iptables") for _, writer in hear(source))


@inside
def test_who_looks_at_traffic_is_not_taken_for_a_writer_of_rules() -> None:
    source = NftSource()
    meter.start()
    assert hear(source, 1) == []
    sh("iptables-nft -A FORWARD -j ACCEPT")
    meter.stop()
    ((_, writer),) = hear(source)
    assert writer.startswith("iptables")


@inside
def test_notifications_that_the_kernel_had_to_drop_lead_to_a_full_look() -> None:
    for source, command in ((LinkSource(), "ip link add {} type bridge"), (NftSource(), "nft add table inet {}")):
        source.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for number in range(60):
            sh(command.format(f"many{number}"))
        assert ("full", "") in hear(source), command
        sh(command.format("after"))
        assert hear(source), "after what was lost it hears again"


@inside
def test_a_legacy_rule_replaced_by_another_is_found_by_the_poll() -> None:
    sh("iptables-legacy -A FORWARD -s 192.0.2.1 -j DROP")
    source, heard = LegacySource(), []

    def poll() -> Heard:
        heard.clear()
        source.poll(lambda kind, writer: heard.append((kind, writer)))
        return heard

    assert poll() == []
    sh("iptables-legacy -R FORWARD 1 -s 192.0.2.2 -j DROP")
    assert poll() == [("legacy", "")]
    assert poll() == []


@inside
def test_exits_our_own_writing_and_files_of_containers_are_heard() -> None:
    run_dir, state_dir = Path("/run/cnm"), Path("/var/lib/cnm")
    for folder in (run_dir / "exits", state_dir / "containers/c1"):
        folder.mkdir(parents=True)
    source = FileSource(Folders(state_dir=state_dir, run_dir=run_dir, group=4242))
    for path, kind in (
        (run_dir / "exits/c1", "exits"),
        (run_dir / "busy", "busy"),
        (state_dir / "containers/c1/hosts", "files"),
    ):
        path.write_text("x")
        assert (kind, "") in hear(source), path
    (state_dir / "containers/c1/log").write_text("a line")
    assert hear(source, 0.3) == []
    container = state_dir / "containers" / ("c" * 64)
    container.mkdir()
    hear(source, 0.3)
    for name in ("log", "log.tmp"):
        (container / name).write_text("a line")
    (container / "log.tmp").rename(container / "log")  # as conmon begins a new one
    assert hear(source, 0.3) == []
    assert [
        ((container / name).stat().st_gid, (container / name).stat().st_mode & 0o777) for name in ("log", "log.tmp")
    ] == [(4242, 0o640)] * 2, "readable for our group, with the file that comes next"
    (state_dir / "containers/c2").mkdir()
    hear(source, 0.3)
    (state_dir / "containers/c2/hosts").write_text("x")
    assert ("files", "") in hear(source)


@inside
def test_sizes_of_legacy_tables_tell_most_changes_at_once() -> None:
    for program in ("iptables-legacy", "ip6tables-legacy"):
        sh(f"{program} -A FORWARD -j ACCEPT")
    source, heard = LegacySource(), []

    def glance() -> Heard:
        heard.clear()
        source.glance(lambda kind, writer: heard.append((kind, writer)))
        return heard

    assert glance() == []
    for program in ("iptables-legacy", "ip6tables-legacy"):
        sh(f"{program} -F FORWARD")
        assert glance() == [("legacy", "")], program
        assert glance() == []
    source.poll(lambda kind, writer: heard.append((kind, writer)))
    assert heard == []  # the dearer look does not tell the same again


@inside
def test_changes_inside_a_sandbox_are_heard_from_the_host() -> None:
    sh("ip netns add box")
    source = LinkSource()
    sh("ip link add cv0 type veth peer name eth0 netns box")
    for command in (
        "ip -n box addr add 10.9.0.2/24 dev eth0",
        "ip -n box link set eth0 up",
        "ip -n box addr del 10.9.0.2/24 dev eth0",
    ):
        hear(source, 0.3)
        sh(command)
        assert ("links", "") in hear(source), command


@inside
def test_a_kernel_setting_changed_behind_our_back_is_told() -> None:
    ledger = Path("/run/cnm/ledger")
    ledger.mkdir(parents=True)
    name = "net.ipv4.conf.lo.forwarding"
    (ledger / "sysctls.json").write_text(json.dumps({name: {"old": "0"}}))
    source, heard = SysctlSource(ledger), []

    def glance() -> Heard:
        heard.clear()
        source.glance(lambda kind, writer: heard.append((kind, writer)))
        return heard

    assert glance() == []
    before = sysctl.read(name)
    sysctl.write(name, "0" if before == "1" else "1")
    assert glance() == [("sysctls", "")]
    assert glance() == []


def test_a_port_that_a_program_takes_is_told_and_not_one_that_we_hold_or_a_question_in_passing() -> None:
    with Bottle() as bottle:
        assert bottle.python("tests.kernel.test_monitor_sources:listeners_heard") == {
            "nothing": [],
            "tcp": ["facts"],
            "the same again": [],
            "tcp on ::1": ["facts"],
            "udp": ["facts"],
            "connected": [],
            "asks": [],
            "given up": [],
            "ours": [],
            "ours and another's": ["facts"],
            "holder gone": ["facts"],
        }


def listeners_heard() -> dict[str, list[str]]:
    """Runs inside: what is told after each of these happened."""
    sh("ip link set lo up")
    run_dir = Path("/run/cnm")
    run_dir.mkdir()
    path = run_dir / "holder.sock"
    holder = subprocess.Popen([sys.executable, "-m", "worker.holder", "--socket", str(path)])
    ports = PortsHandler(path)
    ports.observe(None)  # it answers
    source, told, kept = ListenerSource(HolderSource(path).held), {}, []

    def after(what: str, *sockets: socket.socket) -> None:
        heard: list[str] = []
        kept.extend(sockets)
        source.glance(lambda kind, _: heard.append(kind))
        told[what] = heard

    def udp(port: int) -> socket.socket:
        taken = socket.socket(type=socket.SOCK_DGRAM)
        taken.bind(("", port))
        return taken

    def hold(port: int) -> None:
        wanted = PortReservation(protocol="tcp", host_address=ip_address("0.0.0.0"), host_port=port)
        ports.apply([Step(None, wanted)], lambda _: None)

    try:
        after("nothing")
        after("tcp", socket.create_server(("127.0.0.1", 8080)))
        after("the same again")
        after("tcp on ::1", socket.create_server(("::1", 8080), family=socket.AF_INET6))
        after("udp", udp(8080))
        after("connected", socket.create_connection(("127.0.0.1", 8080)))
        after("asks", udp(0))
        kept.pop(0).close()
        after("given up")
        hold(8081)
        after("ours")
        hold(8082)
        after("ours and another's", socket.create_server(("127.0.0.1", 8083)))
    finally:
        holder.kill()
        holder.wait()
    assert {8080, 8083} <= {item.port for item in bound()}
    assert set(bound()) == set(bound_by_proc())
    after("holder gone", socket.create_server(("127.0.0.1", 8085)))
    for one in kept:
        one.close()
    return told
