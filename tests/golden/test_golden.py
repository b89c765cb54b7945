"""In Docker naming, without our extras, a host equals line for line what a Docker Engine 20.10 makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from networks.cnm.names import DOCKER_NAMING, sandbox_name
from networks.cnm.resources import Bridge, EtcFile, NameServer, PortReservation, Process, Resource, Sysctl
from networks.cnm.rules import Chain, Rule
from worker.compile import compile_host
from worker.firewall.name_server import sandbox_rules

from .scenarios import FACTS, STAGES, Stage, container_id, network_id

CAPTURES = Path(__file__).parent / "captures"
BUILT_IN = {
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
NETWORKS = ("net1", "net2", "noicc", "nomasq", "bindlo")
ADDED_BY_THE_RUNTIME = ("HOME=", "HOSTNAME=", "PATH=")


def compiled(stage: Stage) -> tuple[Resource, ...]:
    return compile_host(stage.make(), FACTS)


def as_saved(resources: tuple[Resource, ...], table: str) -> list[str]:
    """What iptables-save would print of one table when it held nothing but *resources*."""
    chains = [item for item in resources if isinstance(item, Chain) and item.table == table and item.family == 4]
    rules = [item for item in resources if isinstance(item, Rule) and item.table == table and item.family == 4]
    names = sorted(chain.name for chain in chains)
    lines = [f":{name} ACCEPT [0:0]" for name in BUILT_IN[table]] + [f":{name} - [0:0]" for name in names]
    for name in (*BUILT_IN[table], *names):
        lines += [rule.text for rule in sorted(rules, key=lambda rule: rule.rank) if rule.chain == name]
        lines += [f"-A {name} -j RETURN" for chain in chains if chain.name == name and chain.handed_over]
    return [f"*{table}", *lines, "COMMIT"]


def captured(text: str) -> str:
    """A capture with its placeholders filled by the ids of the scenario."""
    for name in NETWORKS:
        text = text.replace(f"<net:{name}>", network_id(name)[:12])
    while "<ctr:" in text:
        name = text.partition("<ctr:")[2].partition(">")[0]
        text = text.replace(f"<ctr:{name}>", container_id(name)[:12])
    return text


def read(stage: Stage, name: str) -> str:
    return captured((CAPTURES / stage.folder / name).read_text())


@pytest.mark.parametrize("stage", STAGES, ids=str)
@pytest.mark.parametrize("table", ["nat", "filter"])
def test_the_rules_equal_dockers_line_for_line(stage: Stage, table: str) -> None:
    expected = [line for line in read(stage, f"iptables-{table}.txt").splitlines() if line not in stage.leaked]
    assert as_saved(compiled(stage), table) == expected


def test_every_captured_stage_is_compared() -> None:
    folders = {str(path.parent.relative_to(CAPTURES)) for path in CAPTURES.rglob("iptables-nat.txt")}
    # A Docker Engine without its proxy refuses sctp; nothing changed in that stage.
    assert folders - {"publish-no-userland-proxy/with-sctp"} == {stage.folder for stage in STAGES}


def test_nothing_else_is_written_to_the_firewall() -> None:
    for stage in STAGES:
        tables = {(item.family, item.table) for item in compiled(stage) if isinstance(item, Rule | Chain)}
        assert tables <= {(4, "nat"), (4, "filter")}


# Docker 20.10 takes every line with the container's own name away when one of its networks is disconnected; ours keep the
# address that is still there.
ONE_LINE_LOST = "two-networks/after-disconnect-net1/c1.hosts"
# The environment is made at a process's start; this one started while its source was still there, and kept what it was told.
STARTED_BEFORE = "link/after-db-removed/web"


def _files(pattern: str) -> list[tuple[Stage, str]]:
    return [
        (stage, path.name.removesuffix(f".{pattern}"))
        for stage in STAGES
        for path in sorted((CAPTURES / stage.folder).glob(f"*.{pattern}"))
    ]


@pytest.mark.parametrize("kind", ["hosts", "hostname", "resolv.conf"])
def test_the_files_equal_dockers(kind: str) -> None:
    compared = 0
    for stage, name in _files(kind):
        # A container that joins another's sandbox sees the other's files.
        owner = "dbridge" if name == "shared" else name
        expected = read(stage, f"{name}.{kind}")
        if f"{stage.folder}/{name}.{kind}" == ONE_LINE_LOST:
            expected += f"172.19.0.2\t{container_id('c1')[:12]}\n"
        found = {
            item.content
            for item in compiled(stage)
            if isinstance(item, EtcFile) and item.container_id == container_id(owner) and item.name == kind
        }
        assert found == {expected}, f"{stage.folder}/{name}.{kind}"
        compared += 1
    assert compared > 20


def test_the_rules_inside_sandboxes_equal_dockers() -> None:
    compared = 0
    for stage, name in _files("sandbox-iptables"):
        sandbox = sandbox_name(container_id(name))
        (server,) = [item for item in compiled(stage) if isinstance(item, NameServer) and item.sandbox == sandbox]
        rules = sandbox_rules(DOCKER_NAMING, 1, 1, server.owner)
        expected = [
            line.replace("<port>", "1")
            for line in read(stage, f"{name}.sandbox-iptables").splitlines()
            if line.startswith("-A")
        ]
        assert [rule.text for rule in rules] == expected, f"{stage.folder}/{name}"
        compared += 1
    assert compared == 11


def test_no_other_sandbox_has_a_name_server() -> None:
    dns_options = next(stage for stage in STAGES if stage.folder == "dns-options")
    served = {item.sandbox for item in compiled(dns_options) if isinstance(item, NameServer)}
    assert served == {sandbox_name(container_id(name)) for name in ("dnet1", "pnet1", "hnet1")}


def test_a_container_in_anothers_sandbox_sees_its_files() -> None:
    stage = next(stage for stage in STAGES if stage.folder == "dns-options")
    processes = {item.name: item for item in compiled(stage) if isinstance(item, Process)}
    assert processes["shared"].files_of == container_id("dbridge")
    assert processes["shared"].sandbox == processes["dbridge"].sandbox
    assert processes["hostnet"].sandbox == ""


def test_the_environment_of_recipients_equals_dockers() -> None:
    compared = 0
    for stage, name in _files("env"):
        if f"{stage.folder}/{name}" == STARTED_BEFORE:
            continue
        processes = {item.name: item for item in compiled(stage) if isinstance(item, Process)}
        process = processes[name]
        lines = [f"{key}={value}" for key, value in (*process.process.env, *process.link_env)]
        expected = [
            line for line in read(stage, f"{name}.env").splitlines() if not line.startswith(ADDED_BY_THE_RUNTIME)
        ]
        assert sorted(lines) == expected, f"{stage.folder}/{name}.env"
        compared += bool(process.link_env)
    assert compared >= 5


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_a_port_is_held_wherever_docker_starts_a_proxy(stage: Stage) -> None:
    path = CAPTURES / stage.folder / "docker-proxy.txt"
    expected = sorted(path.read_text().splitlines()) if path.exists() else []
    found = sorted(
        f"docker-proxy -proto {item.protocol} -host-ip {item.host_address} -host-port {item.host_port}"
        f" -container-ip {item.target[0]} -container-port {item.target[1]}"
        for item in compiled(stage)
        if isinstance(item, PortReservation) and item.target
    )
    assert found == expected


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_forwarding_and_mtu_are_as_docker_sets_them(stage: Stage) -> None:
    resources = compiled(stage)
    sysctls = {item.name: item.value for item in resources if isinstance(item, Sysctl)}
    captured_sysctls = dict(line.split(" = ") for line in read(stage, "sysctl.txt").splitlines())
    assert sysctls.get("net.ipv4.ip_forward", "0") == captured_sysctls["net.ipv4.ip_forward"]
    mtus = read(stage, "bridges-mtu.txt")
    for bridge in (item for item in resources if isinstance(item, Bridge)):
        assert f"{bridge.name}:\tmtu {bridge.mtu}\n" in mtus
        expected = captured_sysctls.get(f"net.ipv4.conf.{bridge.name}.route_localnet", "0")
        assert ("1" if bridge.route_localnet else "0") == expected
