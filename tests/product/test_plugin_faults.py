"""A plugin that refuses, babbles, is slow or dies: what was begun is undone, what it could not be told it is told later, and all see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.testlib import patient
from tests.testlib.plugin import PluginProcess

from .conftest import Console
from .plugin_lab import NOTHING, OURS, THEIRS, endpoint, running, seen, tended, well

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]

UNDONE = ["NetworkDriver.Leave", "NetworkDriver.DeleteEndpoint", "IpamDriver.ReleaseAddress"]
NET = {"networks": 1, "endpoints": 0, "pools": 1, "addresses": 1}
"""What the plugin holds of one network without containers: the gateway's address is one."""


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[Console, PluginProcess]]:
    with running(patient.__name__) as both:
        yield both


@pytest.fixture
def console(lab: tuple[Console, PluginProcess]) -> Iterator[Console]:
    with tended(lab, within_s=90) as console:
        yield console


@pytest.fixture
def plugin(console: Console, lab: tuple[Console, PluginProcess]) -> PluginProcess:
    return lab[1]


def start(console: Console, name: str = "one") -> httpx.Response:
    return console.raw("POST", "containers", {"name": name, "command": ["sleep", "1000"], "network": "far"})


def becomes(console: Console, state: str) -> dict[str, Any]:
    """The plugin as all see it, once it is in *state*: within the moment that a page takes to hear of it."""
    assert console.until(lambda: seen(console)["state"] == state, within_s=5), seen(console)
    return seen(console)


@contextmanager
def paused(console: Console) -> Iterator[None]:
    """A plugin that falls silent is left alone until the end of this, however long the machine takes for what is in between."""
    console.bottle.write(str(patient.LASTS), "")
    try:
        yield
    finally:
        console.bottle.run(["rm", "-f", str(patient.LASTS)])


def last_undone(plugin: PluginProcess, since: int) -> list[str]:
    """The calls that took something back after the first *since*."""
    return [name for name in plugin.methods(since) if name in UNDONE]


def test_a_join_that_is_refused_is_undone_whole(console: Console, plugin: PluginProcess) -> None:
    console.network("far", **THEIRS)
    since = len(plugin.calls())
    plugin.fault("NetworkDriver.Join", "refuse")
    refused = start(console)
    assert refused.status_code == 502, refused.text
    problem = refused.json()
    assert "tester refused NetworkDriver.Join: not today" in problem["detail"]
    assert problem["facts"]["method"] == "NetworkDriver.Join"
    assert last_undone(plugin, since) == UNDONE
    assert plugin.holds() == NET
    assert console.state("one") == "failed"
    assert seen(console)["state"] == "ready", "a plugin that refuses is well"
    console.call("POST", "containers/one/start")
    assert console.state("one") == "running"


def in_words_of_its_own(answer: Any) -> dict[str, Any]:
    return {"kind": "answer", "answer": answer}


GIVEN = {"Interface": {"Address": "10.99.0.77/24", "MacAddress": "02:99:00:00:00:77"}}
NO_DEVICE = {"InterfaceName": {"SrcName": "nosuch0", "DstPrefix": "eth"}}
BAD_ROUTE = {"InterfaceName": {"SrcName": "lo", "DstPrefix": "eth"}, "StaticRoutes": "everywhere"}


@pytest.mark.parametrize(
    ("method", "fault", "words"),
    [
        ("NetworkDriver.CreateEndpoint", {"kind": "garbage"}, "no JSON object"),
        ("NetworkDriver.CreateEndpoint", in_words_of_its_own(GIVEN), "Address was given as 10.99.0.2/24"),
        ("NetworkDriver.CreateEndpoint", in_words_of_its_own({"Interface": {"MacAddress": "blue"}}), "MacAddress"),
        ("NetworkDriver.Join", {"kind": "garbage"}, "no JSON object"),
        ("NetworkDriver.Join", in_words_of_its_own(NO_DEVICE), "the host has no interface nosuch0"),
        ("NetworkDriver.Join", in_words_of_its_own(BAD_ROUTE), "SrcName"),
        ("IpamDriver.RequestAddress", in_words_of_its_own({"Address": "192.0.2.1/24"}), "is not in 10.99.0.0/24"),
        ("IpamDriver.RequestAddress", in_words_of_its_own({"Address": 7}), "is no text"),
    ],
)
def test_an_answer_that_means_nothing_is_undone_and_seen(
    console: Console, plugin: PluginProcess, method: str, fault: dict[str, Any], words: str
) -> None:
    console.network("far", **THEIRS)
    plugin.fault(method, **fault)
    refused = start(console)
    assert refused.status_code == 502, refused.text
    assert words in refused.json()["detail"]
    state = becomes(console, "degraded")
    assert method in state["problem"]["text"]
    assert console.get("networks/far")["plugins"][0]["state"] == "degraded"
    held = plugin.holds()
    assert (held["networks"], held["endpoints"], held["pools"]) == (1, 0, 1)
    # An answer that names no address that could be given back leaves it with the plugin: nobody knows which it was.
    assert held["addresses"] == 1 + (method == "IpamDriver.RequestAddress")
    console.call("POST", "containers/one/start")
    becomes(console, "ready")  # it has answered that question by now
    for pool in plugin.state()["pools"].values():
        for address in set(pool["given"]) - {"10.99.0.1", endpoint(console, "one")["ipv4"].partition("/")[0]}:
            plugin.ask("IpamDriver.ReleaseAddress", {"PoolID": "TestLocal/10.99.0.0/24", "Address": address})


def test_a_range_that_means_nothing_is_given_back(console: Console, plugin: PluginProcess) -> None:
    plugin.fault("IpamDriver.RequestPool", "answer", answer={"PoolID": "TestLocal/10.99.0.0/24", "Pool": "everything"})
    refused = console.raw("POST", "networks", {"name": "far", **THEIRS})
    assert refused.status_code == 502, refused.text
    assert "Pool 'everything' is no range of addresses" in refused.json()["detail"]
    assert plugin.holds() == NOTHING
    becomes(console, "degraded")
    console.call("DELETE", "networks/far")
    console.network("far", **THEIRS)
    becomes(console, "ready")


def test_a_silent_plugin_holds_up_nobody_for_long_and_is_told_of_the_rest_later(
    console: Console, plugin: PluginProcess
) -> None:
    console.network("far", **THEIRS)
    console.network("near")
    with paused(console):
        plugin.fault("NetworkDriver.Join", "silent")
        refused = start(console)
        assert refused.status_code == 503, refused.text
        assert "does not answer NetworkDriver.Join: no answer within 5 s" in refused.json()["detail"]
        assert becomes(console, "degraded")["owed"] == 3
        assert console.get("networks/far")["plugins"][0]["owed"] == 3
        since = len(plugin.calls())
        again = start(console, "two")
        assert again.status_code == 503, "the breaker is open"
        assert plugin.methods(since) == [], "and asks nothing"
        console.run("three", network="near")
        assert console.state("three") == "running"
    assert well(console), seen(console)
    assert plugin.holds() == NET
    assert last_undone(plugin, since) == UNDONE
    console.call("POST", "containers/one/start")
    assert console.state("one") == "running"


@pytest.mark.parametrize("method", ["NetworkDriver.CreateEndpoint", "NetworkDriver.Join"])
@pytest.mark.parametrize("kind", ["die-before", "die-after"])
def test_a_plugin_that_dies_in_the_middle_keeps_nothing_when_it_is_back(
    console: Console, plugin: PluginProcess, method: str, kind: str
) -> None:
    console.network("far", **THEIRS)
    plugin.fault(method, kind)
    refused = start(console)
    assert refused.status_code == 503, refused.text
    plugin.wait()
    becomes(console, "degraded")
    plugin.start()
    assert well(console), seen(console)
    assert plugin.holds() == NET
    console.call("POST", "containers/one/start")
    assert console.state("one") == "running"
    assert plugin.holds() == {"networks": 1, "endpoints": 1, "pools": 1, "addresses": 2}


def test_what_goes_while_the_plugin_is_away_goes_and_the_plugin_hears_of_it_when_it_is_back(
    console: Console, plugin: PluginProcess
) -> None:
    console.network("far", **THEIRS)
    console.run("one", network="far")
    plugin.kill()
    console.remove("one")
    console.call("DELETE", "networks/far")
    assert console.get("networks")["results"][-1]["name"] != "far"
    assert console.until(lambda: seen(console)["owed"] == 6), seen(console)
    assert seen(console)["state"] == "degraded"
    refused = console.raw("POST", "networks", {"name": "other", **THEIRS})
    assert refused.status_code == 503, refused.text
    plugin.start()
    assert well(console), seen(console)
    assert plugin.holds() == NOTHING


def test_a_plugin_that_has_forgotten_its_networks_is_told_of_them_when_they_are_needed(
    console: Console, plugin: PluginProcess
) -> None:
    console.network("far", **OURS)
    plugin.kill()
    console.bottle.run(
        ["sh", "-c", "rm -f /run/plugin.state; ip -br link | sed 's/[ @].*//' | grep ^tp | xargs -r -n1 ip link del"]
    )
    plugin.start()
    assert well(console)
    since = len(plugin.calls())
    console.run("one", network="far")
    assert plugin.methods(since)[:4] == [
        "NetworkDriver.CreateEndpoint",
        "NetworkDriver.CreateNetwork",
        "NetworkDriver.CreateEndpoint",
        "NetworkDriver.Join",
    ]
    console.run("two", network="far")
    assert plugin.holds()["networks"] == 1


def test_a_network_that_the_plugin_refuses_is_none(console: Console, plugin: PluginProcess) -> None:
    since = len(plugin.calls())
    plugin.fault("NetworkDriver.CreateNetwork", "refuse")
    refused = console.raw("POST", "networks", {"name": "far", **THEIRS})
    assert refused.status_code == 502, refused.text
    assert plugin.methods(since)[-2:] == ["IpamDriver.ReleaseAddress", "IpamDriver.ReleasePool"]
    assert plugin.holds() == NOTHING
    assert console.get("networks/far")["status"] == "failed"
    operations = console.get("operations", state="failed")["results"]
    console.call("POST", f"operations/{operations[0]['id']}/retry")
    assert console.until(lambda: console.get("networks/far")["status"] == "ready")


def test_an_old_plugin_that_knows_no_external_connectivity_is_none_the_worse(
    console: Console, plugin: PluginProcess
) -> None:
    console.network("far", **OURS)
    plugin.fault("NetworkDriver.ProgramExternalConnectivity", "unknown")
    plugin.fault("NetworkDriver.EndpointOperInfo", "unknown")
    plugin.fault("NetworkDriver.RevokeExternalConnectivity", "unknown")
    console.run("one", network="far", ports=["8080:80"])
    assert console.state("one") == "running"
    assert endpoint(console, "one")["info"] == {}
    console.remove("one")
    assert plugin.holds()["endpoints"] == 0


@pytest.fixture(scope="module")
def many() -> Callable[[Console], None]:
    def make(console: Console) -> None:
        names = [f"c{number}" for number in range(8)]
        containers = [{"name": name, "command": ["sleep", "1000"], "network": "far", "start": False} for name in names]
        console.call("POST", "bulk", {"containers": containers})

    return make


def test_of_many_that_start_those_without_the_plugin_start(
    console: Console, plugin: PluginProcess, many: Callable[[Console], None]
) -> None:
    """One start of eight on the plugin's network and one beside them: the plugin falls silent, and is waited for once."""
    console.network("far", **OURS)
    many(console)
    console.call("POST", "containers", {"name": "near", "command": ["sleep", "1000"], "start": False})
    with paused(console):
        plugin.fault("NetworkDriver.CreateEndpoint", "silent", times=9)
        since = len(plugin.calls())
        answer = console.raw("POST", "bulk/start", {"containers": [*(f"c{n}" for n in range(8)), "near"]})
        assert answer.json()["code"] == "apply_failed", answer.text
        assert "does not answer NetworkDriver.CreateEndpoint" in answer.json()["detail"]
        assert console.state("near") == "running"
        assert {console.state(f"c{number}") for number in range(8)} == {"failed"}
        assert plugin.methods(since) == ["NetworkDriver.CreateEndpoint"], "waited for once"
    plugin.kill()
    plugin.start()
    assert well(console)
