"""Networks of a plugin that span hosts: its instances on two hosts are told of one another, of the network, and of who is on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.testlib.cluster import Cluster
from tests.testlib.plugin import PluginProcess

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]
HOSTS = ("h1", "h2")
SHARES = {"h1": "0", "h2": "100"}
"""An IPAM plugin that spans hosts gives no address twice: each of its instances has a share of every range."""


@pytest.fixture(scope="module")
def plugins() -> Iterator[tuple[Cluster, dict[str, PluginProcess]]]:
    with Cluster(2) as cluster:
        started = {}
        for name in HOSTS:
            started[name] = PluginProcess(cluster.members[name].bottle, env={"SCOPE": "global", "SHARE": SHARES[name]})
            started[name].start()
            cluster.until(lambda name=name: seen(cluster, name).get("state") == "ready")
        yield cluster, started


def seen(cluster: Cluster, host: str) -> dict[str, Any]:
    found = cluster.hosts()[host]["plugins"]
    return next((item for item in found if item["name"] == "tester"), {})


def bodies(plugin: PluginProcess, method: str, network: str) -> list[dict[str, Any]]:
    """What it was told by *method* of *network* (id)."""
    calls = (call["body"] for call in plugin.calls() if call["method"] == f"NetworkDriver.{method}")
    return [body for body in calls if body["NetworkID"] == network]


def addresses(cluster: Cluster) -> dict[str, bool]:
    """What the plugin of h1 is to know of hosts: address -> whether it is its own."""
    return {cluster.members[name].address: name == "h1" for name in HOSTS}


def address(cluster: Cluster, host: str, container: str) -> str:
    ways = cluster.call("GET", f"containers/{container}", host=host)["endpoints"]
    # Who is on an overlay network is on the host's gateway network, too.
    (way,) = [way for way in ways if way["network"]["name"] != "cnm_gwbridge"]
    return str(way["ipv4"]).partition("/")[0]


def test_one_network_on_two_hosts(plugins: tuple[Cluster, dict[str, PluginProcess]]) -> None:
    cluster, (one, two) = plugins[0], plugins[1].values()
    made = cluster.call("POST", "networks", {"name": "far", "driver": "tester", "options": {"a": "b"}}, host="h1")
    far = made["id"]
    settled = one.state()["allocated"][far]
    assert (made["scope"], made["driver_state"], settled["a"]) == ("global", settled, "b")
    assert bodies(one, "CreateNetwork", far)[0]["Options"]["com.docker.network.generic"] == settled
    assert two.holds()["networks"] == 0, "nobody there is on it"
    cluster.run("h1", "first", network="far")
    cluster.run("h2", "second", network="far")
    assert bodies(two, "CreateNetwork", far) == bodies(one, "CreateNetwork", far), "the same on all hosts"
    assert bodies(two, "AllocateNetwork", far) == []
    cluster.until(lambda: one.state()["nodes"] == addresses(cluster))
    assert cluster.pings("h1", "first", address(cluster, "h2", "second")), "through the plugin's own tunnel"
    assert cluster.pings("h2", "second", address(cluster, "h1", "first"))
    for host, container, other in (("h1", "first", "second"), ("h2", "second", "first")):
        asked = cluster.call("POST", f"containers/{container}/exec", {"command": ["nslookup", other]}, host=host)
        assert f"Name:\t{other}\n" in asked["result"]["stdout"]
    assert [way["network"]["name"] for way in cluster.call("GET", "containers/first", host="h1")["endpoints"]] == [
        "far"
    ]
    cluster.call("DELETE", "containers/second", host="h2", force=1)
    assert cluster.until(lambda: two.holds()["networks"] == 0)
    assert one.holds()["networks"] == 1, "it is kept there"
    cluster.call("DELETE", "containers/first", host="h1", force=1)
    cluster.call("DELETE", "networks/far", host="h1")
    assert one.state()["allocated"] == {}
    assert (one.holds()["networks"], one.state()["nodes"]) == (0, {})
    assert len(bodies(one, "FreeNetwork", far)) == 1


@pytest.mark.parametrize("driver", ["overlay", "tester"])
def test_the_addresses_of_a_network_on_two_hosts_are_the_plugins(
    plugins: tuple[Cluster, dict[str, PluginProcess]], driver: str
) -> None:
    cluster, (one, two) = plugins[0], plugins[1].values()
    body = {"name": "given", "driver": driver, "ipam_driver": "tester"}
    made = cluster.call("POST", "networks", body, host="h1")
    (subnet,) = [row["subnet"] for row in made["subnets"]]
    (pool,) = one.state()["pools"].values()
    assert pool["subnet"] == subnet, "the plugin's choice is the network's range"
    assert two.holds()["pools"] == 0, "nobody there is on it"
    cluster.run("h1", "first", network="given")
    cluster.run("h2", "second", network="given")
    (there,) = two.state()["pools"].values()
    assert there["subnet"] == subnet, "the same range is the same pool"
    homes = {"h1": ("first", pool), "h2": ("second", there)}
    ways = {host: address(cluster, host, container) for host, (container, _) in homes.items()}
    assert ways["h1"] in one.state()["pools"][f"TestGlobal/{subnet}"]["given"]
    assert ways["h2"] in there["given"]
    assert int(ways["h2"].rpartition(".")[2]) > int(SHARES["h2"]), "of its own host's instance"
    for host, other in (("h1", "h2"), ("h2", "h1")):
        container = homes[host][0]
        cluster.until(lambda host=host, container=container, other=other: cluster.pings(host, container, ways[other]))
        assert cluster.call("GET", "drift", host=host)["results"] == []
    cluster.call("DELETE", "containers/second", host="h2", force=1)
    cluster.until(lambda: ways["h2"] not in str(two.state()["pools"]))
    cluster.call("DELETE", "containers/first", host="h1", force=1)
    cluster.call("DELETE", "networks/given", host="h1")
    for plugin in (one, two):
        cluster.until(lambda plugin=plugin: (plugin.holds()["pools"], plugin.holds()["addresses"]) == (0, 0))


def test_a_plugin_that_was_started_anew_is_told_of_the_hosts_again(
    plugins: tuple[Cluster, dict[str, PluginProcess]],
) -> None:
    cluster, one = plugins[0], plugins[1]["h1"]
    cluster.call("POST", "networks", {"name": "far", "driver": "tester"}, host="h1")
    cluster.run("h1", "first", network="far")
    cluster.run("h2", "second", network="far")
    cluster.until(lambda: one.state()["nodes"] == addresses(cluster))
    one.kill()
    refused = cluster.raw(
        "POST", "containers", {"name": "third", "network": "bridge", "command": ["sleep", "9"]}, host="h1"
    )
    assert refused.status_code == 201, "what has nothing to do with the plugin does not wait for it"
    one.start()
    assert cluster.until(lambda: one.state()["nodes"] == addresses(cluster), 90), one.state()
    assert cluster.pings("h1", "first", address(cluster, "h2", "second"))
    assert not cluster.call("GET", "drift", host="h1")["results"]
    for host, name in (("h1", "first"), ("h2", "second"), ("h1", "third")):
        cluster.call("DELETE", f"containers/{name}", host=host, force=1)
    cluster.call("DELETE", "networks/far", host="h1")


def test_a_host_without_the_plugin_is_refused(plugins: tuple[Cluster, dict[str, PluginProcess]]) -> None:
    cluster, two = plugins[0], plugins[1]["h2"]
    cluster.call("POST", "networks", {"name": "far", "driver": "tester"}, host="h1")
    two.kill()
    cluster.members["h2"].bottle.run(["rm", two.socket])
    try:
        assert cluster.until(lambda: not seen(cluster, "h2"))
        refused = cluster.raw(
            "POST", "containers", {"name": "no", "network": "far", "command": ["sleep", "9"]}, host="h2"
        )
        assert refused.status_code == 501, refused.text
        assert "no network driver called tester" in refused.json()["detail"]
    finally:
        two.start()
    cluster.call("DELETE", "networks/far", host="h1")
