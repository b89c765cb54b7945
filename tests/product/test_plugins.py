"""Networks of a plugin: a process of somebody else's, in another language, that makes the interfaces and gives the addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testlib.certificates import Certificate, certificate
from tests.testlib.plugin import PluginProcess

from .conftest import Console
from .plugin_lab import OURS, THEIRS, endpoint, running, seen, tended

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[Console, PluginProcess]]:
    with running() as both:
        yield both


@pytest.fixture
def console(lab: tuple[Console, PluginProcess]) -> Iterator[Console]:
    with tended(lab) as console:
        yield console


@pytest.fixture
def plugin(console: Console, lab: tuple[Console, PluginProcess]) -> PluginProcess:
    return lab[1]


def test_two_containers_on_a_plugins_network_speak_tcp(console: Console, plugin: PluginProcess) -> None:
    since = len(plugin.calls())
    console.network("far", **OURS, options={"com.example.colour": "blue", "prefix": "ethx", "route": "10.50.0.0/16"})
    console.serve("one", 80, "from one", network="far")
    console.run("two", network="far")
    assert console.connects_soon(console.address("one"), 80, netns=console.sandbox("two")) == "from one"
    assert console.inside("two", "busybox", "nc", "-w", "3", "one", "80")["stdout"].strip() == "from one", "by name"
    assert plugin.methods(since)[:4] == [
        "NetworkDriver.CreateNetwork",
        "NetworkDriver.CreateEndpoint",
        "NetworkDriver.Join",
        "NetworkDriver.EndpointOperInfo",
    ]
    created = next(call["body"] for call in plugin.calls()[since:] if call["method"] == "NetworkDriver.CreateNetwork")
    assert created["Options"]["com.docker.network.generic"]["com.example.colour"] == "blue"
    (data,) = created["IPv4Data"]
    assert (data["AddressSpace"], data["Pool"], data["Gateway"]) == ("LocalDefault", "10.88.0.0/24", "10.88.0.1/24")
    one = endpoint(console, "one")
    assert one["interface"] == "ethx0"
    assert one["mac"].startswith("02:99:")
    assert one["info"]["test.host-end"].startswith("to")
    routes = console.bottle.run(["ip", "route"], netns=console.sandbox("one")).stdout
    assert "default via 10.88.0.1 dev ethx0" in routes
    assert "10.50.0.0/16 via 10.88.0.1 dev ethx0" in routes
    (joined,) = {call["body"]["SandboxKey"] for call in plugin.calls()[since:] if call["method"].endswith("Join")} - {
        f"/run/netns/{console.sandbox('two')}"
    }
    assert joined == f"/run/netns/{console.sandbox('one')}"
    before = len(plugin.calls())
    console.remove("one")
    assert plugin.methods(before) == [
        "NetworkDriver.RevokeExternalConnectivity",
        "NetworkDriver.Leave",
        "NetworkDriver.DeleteEndpoint",
    ]
    assert not console.get("drift")["results"]


def test_the_plugin_gives_the_addresses_too(console: Console, plugin: PluginProcess) -> None:
    since = len(plugin.calls())
    made = console.network("far", **THEIRS, ipam_options={"com.example.floor": "3"}, enable_ipv6=True)
    assert {subnet["subnet"] for subnet in made["subnets"]} == {"10.99.0.0/24", "fd99::/64"}
    console.serve("one", 80, "from one", network="far")
    console.run("two", network="far")
    assert console.address("one") == "10.99.0.2", "the plugin's first is the gateway"
    assert console.connects_soon("10.99.0.2", 80, netns=console.sandbox("two")) == "from one"
    assert console.inside("two", "busybox", "nc", "-w", "3", "one", "80")["stdout"].strip() == "from one", "by name"
    assert console.get("containers/one")["files"]["hosts"].count("10.99.0.2") == 1
    asked = [call["body"] for call in plugin.calls()[since:] if call["method"] == "IpamDriver.RequestPool"]
    assert [(body["AddressSpace"], body["Pool"], body["V6"], body["Options"]) for body in asked] == [
        ("TestLocal", "", False, {"com.example.floor": "3"}),
        ("TestLocal", "", True, {"com.example.floor": "3"}),
    ]
    console.call("POST", "containers/one/stop")
    assert plugin.holds()["addresses"] == 4, "two gateways, and two of the other container"
    console.call("POST", "containers/one/start")
    assert console.connects_soon(console.address("one"), 80, netns=console.sandbox("two")) == "from one"


def test_a_bridge_of_ours_has_addresses_of_a_plugin(console: Console, plugin: PluginProcess) -> None:
    console.network(
        "near", ipam_driver="tester", subnets=[{"subnet": "10.77.0.0/24", "aux_addresses": {"nas": "10.77.0.2"}}]
    )
    console.serve("one", 80, "from one", networks=[{"network": "near", "ipv4": "10.77.0.9"}], ports=["8080:80"])
    console.run("two", network="near")
    assert console.address("one") == "10.77.0.9"
    assert console.address("two") == "10.77.0.3"
    assert console.connects_soon("10.77.0.9", 80, netns=console.sandbox("two")) == "from one"
    assert console.connects("192.0.2.2", 8080) == "from one", "published as on any bridge"
    taken = console.raw("POST", "containers", {"name": "third", "networks": [{"network": "near", "ipv4": "10.77.0.9"}]})
    assert taken.status_code == 502, taken.text
    assert "10.77.0.9 is taken" in taken.json()["detail"]
    assert plugin.holds() == {"networks": 0, "endpoints": 0, "pools": 1, "addresses": 4}


def test_a_dry_run_says_what_the_plugin_would_be_told_and_tells_it_nothing(
    console: Console, plugin: PluginProcess
) -> None:
    since = len(plugin.calls())
    plan = console.call("POST", "networks", {"name": "far", **THEIRS}, dry_run=1)["plan"]
    assert [step["kind"] for step in plan["steps"]] == ["pool", "plugin-network"]
    console.network("far", **OURS)
    made = len(plugin.calls())
    plan = console.call("POST", "containers", {"name": "one", "command": ["sleep", "9"], "network": "far"}, dry_run=1)[
        "plan"
    ]
    kinds = [step["kind"] for step in plan["steps"]]
    assert {"plugin-endpoint", "plugin-join", "interface", "address"} <= set(kinds)
    assert all(step["why"]["text"] for step in plan["steps"])
    assert plugin.methods(made) == []
    assert plugin.methods(since) == ["NetworkDriver.CreateNetwork"]


def test_what_a_plugin_was_told_once_is_not_changed(console: Console, plugin: PluginProcess) -> None:
    console.network("far", **OURS, options={"com.example.colour": "blue"})
    for change in ({"options": {"com.example.colour": "red"}}, {"internal": True}, {"enable_ipv6": True}):
        refused = console.raw("PATCH", "networks/far", change)
        assert refused.status_code in {400, 403}, refused.text
    assert console.call("PATCH", "networks/far", {"labels": {"a": "b"}})["labels"] == {"a": "b"}


def test_a_plugin_is_reached_by_tls_by_whom_it_knows_and_who_proves_who_it_is(
    console: Console, plugin: PluginProcess, tmp_path: Path
) -> None:
    own, client, stranger = (certificate(tmp_path, name, "127.0.0.1") for name in ("own", "client", "stranger"))
    safe = PluginProcess(console.bottle, "safe")
    safe.start_tls(7443, own, client)
    file = console.bottle.root / "run/docker/plugins/safe.json"

    def name(authority: Certificate, ours: Certificate) -> dict[str, Any]:
        """The plugin as the host sees it, once its file says so."""
        tls = {"CAFile": str(authority.public), "CertFile": str(ours.public), "KeyFile": str(ours.private)}
        file.write_text(json.dumps({"Name": "safe", "Addr": "https://127.0.0.1:7443", "TLSConfig": tls}))
        wanted = "ready" if (authority, ours) == (own, client) else "degraded"
        assert console.until(lambda: seen(console, "safe")["state"] == wanted, within_s=60), seen(console, "safe")
        return seen(console, "safe")

    try:
        assert "certificate is not accepted" in name(stranger, client)["problem"]["text"]
        assert name(own, stranger)["problem"]
        assert name(own, client)["address"] == "https://127.0.0.1:7443"
        console.network("safe", driver="safe", ipam_driver="safe")
        console.serve("one", 80, "from one", network="safe")
        console.run("two", network="safe")
        assert console.connects_soon(console.address("one"), 80, netns=console.sandbox("two")) == "from one"
        console.remove("one", "two")
        console.call("DELETE", "networks/safe")
    finally:
        safe.end()
        file.unlink()


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"driver": "nosuch"}, "driver", "no network driver called nosuch"),
        ({"ipam_driver": "nosuch"}, "ipam_driver", "no IPAM driver called nosuch"),
        ({"driver": "remote"}, "driver", "has the plugin itself as its driver"),
        ({"ipam_driver": "null"}, "ipam_driver", "Nobody would give"),
        ({"driver": "tester", "ipam_options": {"a": "b"}}, "ipam_options", "to a plugin alone"),
        ({"driver": "../../etc"}, "driver", "no name of a driver"),
    ],
)
def test_what_no_plugin_could_do_is_refused_with_the_field(
    console: Console, spec: dict[str, object], field: str, words: str
) -> None:
    refused = console.raw("POST", "networks", {"name": "far", **spec})
    assert refused.status_code in {400, 501}, refused.text
    assert (refused.json()["field"], words in refused.json()["detail"]) == (field, True), refused.text


def test_ports_and_the_way_outside_are_the_plugins(console: Console, plugin: PluginProcess) -> None:
    console.network("far", **OURS)
    console.run("one", network="far", ports=["8080:80"], exposed_ports=["443"])
    (held,) = plugin.state()["endpoints"].values()
    assert [(port["Proto"], port["Port"], port["HostPort"]) for port in held["ports"]] == [(6, 80, 8080)]
    console.call("POST", "containers/one/ports", {"ports": ["9090:90/udp"]})
    (held,) = plugin.state()["endpoints"].values()
    assert sorted((port["Proto"], port["Port"]) for port in held["ports"]) == [(6, 80), (17, 90)]
    assert not console.get("drift")["results"]


def ways(console: Console, container: str) -> list[str]:
    return [f"{e['interface']} {e['network']['name']}" for e in console.get(f"containers/{container}")["endpoints"]]


def default_route(console: Console, container: str) -> str:
    return console.bottle.run(["ip", "route", "show", "default"], netns=console.sandbox(container)).stdout.strip()


def test_who_is_given_no_way_outside_has_that_of_the_host(console: Console, plugin: PluginProcess) -> None:
    since = len(plugin.calls())
    console.network("far", **OURS, options={"gateway": "none"})
    console.serve("one", 80, "from one", network="far", ports=["8080:80"])
    created = next(call["body"] for call in plugin.calls()[since:] if call["method"] == "NetworkDriver.CreateNetwork")
    assert created["IPv4Data"][0]["Gateway"] == "", "the plugin was asked, and needs none"
    assert ways(console, "one") == ["eth0 far", "eth1 cnm_gwbridge"]
    assert console.until(lambda: console.get("networks/cnm_gwbridge")["status"] == "ready")
    assert default_route(console, "one").endswith("dev eth1")
    assert console.connects("192.0.2.2", 8080) == "from one", "published by the network that leads outside"
    assert "NetworkDriver.ProgramExternalConnectivity" not in plugin.methods(since)
    assert not console.get("drift")["results"]
    console.call("POST", "containers/one/restart", {"timeout": 0})
    assert ways(console, "one") == ["eth0 far", "eth1 cnm_gwbridge"]
    assert default_route(console, "one").endswith("dev eth1")
    console.network("near")
    console.call("POST", "networks/near/connect", {"container": "one"})
    assert ways(console, "one") == ["eth0 far", "eth2 near"], "another leads outside"
    console.call("POST", "networks/near/disconnect", {"container": "one"})
    assert ways(console, "one") == ["eth0 far", "eth1 cnm_gwbridge"]
    assert console.connects("192.0.2.2", 8080) == "from one"
    console.call("POST", "networks/far/disconnect", {"container": "one"})
    assert ways(console, "one") == []
    console.remove("one")
    console.call("DELETE", "networks/cnm_gwbridge")


@pytest.mark.parametrize(
    "spec",
    [{"options": {"gateway": "none", "closed": "yes"}}, {"options": {"gateway": "none"}, "internal": True}],
    ids=["the plugin says so", "internal"],
)
def test_who_is_to_have_no_way_outside_has_none(
    console: Console, plugin: PluginProcess, spec: dict[str, object]
) -> None:
    console.network("far", **OURS, **spec)
    console.run("one", network="far")
    assert ways(console, "one") == ["eth0 far"]
    assert default_route(console, "one") == ""


def test_a_plugin_may_give_the_addresses_of_its_endpoints_itself(console: Console, plugin: PluginProcess) -> None:
    console.network("far", driver="tester", ipam_driver="null", options={"gives": "10.66.0.5/24", "closed": "yes"})
    assert console.get("networks/far")["subnets"] == []
    console.run("one", networks=[{"network": "far", "driver_opts": {"com.example.vlan": "7"}}])
    assert endpoint(console, "one")["ipv4"] == "10.66.0.5/24"
    assert "10.66.0.5/24" in console.bottle.run(["ip", "-4", "-br", "addr"], netns=console.sandbox("one")).stdout
    (held,) = plugin.state()["endpoints"].values()
    assert held["options"]["com.example.vlan"] == "7"
    assert (
        console.raw(
            "POST",
            "containers",
            {"name": "two", "networks": [{"network": "bridge", "driver_opts": {"com.example.vlan": "7"}}]},
        ).status_code
        == 400
    )


def test_a_container_connects_to_a_plugins_network_while_it_runs_and_leaves_it(
    console: Console, plugin: PluginProcess
) -> None:
    console.network("far", **THEIRS)
    console.serve("one", 80, "from one", network="far")
    console.run("two")
    console.call("POST", "networks/far/connect", {"container": "two"})
    assert console.inside("two", "busybox", "nc", "-w", "3", "one", "80")["stdout"].strip() == "from one"
    assert len(plugin.state()["endpoints"]) == 2
    console.call("POST", "networks/far/disconnect", {"container": "two"})
    assert len(plugin.state()["endpoints"]) == 1
    assert [e["network"]["name"] for e in console.get("containers/two")["endpoints"]] == ["bridge"]
    links = console.bottle.run(["ip", "-br", "link"], netns=console.sandbox("two")).stdout
    assert sorted(line.split("@")[0].split()[0] for line in links.splitlines()) == ["eth0", "lo"]


def test_an_interface_that_is_gone_is_drift_and_its_repair_joins_anew(console: Console, plugin: PluginProcess) -> None:
    console.network("far", **OURS)
    console.serve("one", 80, "from one", network="far")
    console.run("two", network="far")
    console.bottle.run(["ip", "link", "del", "eth0"], netns=console.sandbox("one"))
    drift = console.until(lambda: console.get("drift")["results"], within_s=30)
    assert {"plugin-join", "interface", "address"} <= {row["resource_kind"] for row in drift}
    console.call("POST", "drift/repair", {"drift": [row["id"] for row in drift]})
    assert console.connects_soon(console.address("one"), 80, netns=console.sandbox("two")) == "from one"
    assert console.until(lambda: not console.get("drift")["results"])
    assert plugin.holds()["endpoints"] == 2
