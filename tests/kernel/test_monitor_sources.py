"""What others change in the kernel is heard, and by whom where the kernel says so."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.testlib.bottle import inside
from worker.kernel import sysctl
from worker.monitor.sources import FileSource, LegacySource, LinkSource, NftSource, SysctlSource

pytestmark = pytest.mark.kernel
Heard = list[tuple[str, str]]
Hears = LinkSource | NftSource | FileSource


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
def test_a_rule_is_heard_with_the_program_that_wrote_it() -> None:
    source = NftSource()
    sh("nft add table inet somebody")
    heard = hear(source)
    assert heard[0][0] == "rules"
    assert heard[0][1].startswith("nft (")
    sh("iptables-nft -A FORWARD -j ACCEPT")
    assert any(writer.startswith("iptables") for _, writer in hear(source))


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
    source = FileSource(run_dir, state_dir)
    for path, kind in (
        (run_dir / "exits/c1", "exits"),
        (run_dir / "busy", "busy"),
        (state_dir / "containers/c1/hosts", "files"),
    ):
        path.write_text("x")
        assert (kind, "") in hear(source), path
    (state_dir / "containers/c1/log").write_text("a line")
    assert hear(source, 0.3) == []
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
