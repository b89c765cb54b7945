"""What plugins hold survives the death of the worker, of the host and of the plugin: nothing is left, and nothing is twice."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.testlib.plugin import PluginProcess
from tests.testlib.product import Product

from .conftest import Console
from .plugin_lab import NOTHING, OURS, SETTINGS, THEIRS, endpoint, no_devices, running, seen, tended, well

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[Console, PluginProcess]]:
    with running() as both:
        yield both


@pytest.fixture
def console(lab: tuple[Console, PluginProcess]) -> Iterator[Console]:
    with tended(lab, within_s=90) as console:
        yield console


@pytest.fixture
def plugin(console: Console, lab: tuple[Console, PluginProcess]) -> PluginProcess:
    return lab[1]


def calls_of(plugin: PluginProcess, method: str, since: int = 0) -> int:
    return plugin.methods(since).count(method)


@pytest.mark.parametrize(
    "method",
    ["NetworkDriver.CreateNetwork", "NetworkDriver.CreateEndpoint", "NetworkDriver.Join", "IpamDriver.ReleaseAddress"],
)
def test_a_worker_that_is_killed_while_the_plugin_is_at_work_leaves_nothing_and_makes_nothing_twice(
    console: Console, plugin: PluginProcess, method: str
) -> None:
    """The plugin has done what it was told, and the worker dies before it hears so."""
    if method != "NetworkDriver.CreateNetwork":
        console.network("far", **THEIRS)
    if method == "IpamDriver.ReleaseAddress":
        console.run("one", network="far")
    since = len(plugin.calls())
    plugin.fault(method, "silent")
    if method == "NetworkDriver.CreateNetwork":
        console.raw("POST", "networks", {"name": "far", **THEIRS}, wait=0)
    elif method == "IpamDriver.ReleaseAddress":
        console.raw("POST", "containers/one/stop", {"timeout": 0}, wait=0)
    else:
        console.raw("POST", "containers", {"name": "one", "command": ["sleep", "1000"], "network": "far"}, wait=0)
    assert console.until(lambda: calls_of(plugin, method, since) == 1, within_s=30), plugin.methods(since)
    console.product.kill("kernel")
    console.product.restart("kernel")
    assert console.until(lambda: not console.get("operations", state="running")["results"], within_s=30)
    assert well(console), seen(console)
    if method == "NetworkDriver.CreateNetwork":
        assert console.get("networks/far")["status"] == "ready"
    elif method == "IpamDriver.ReleaseAddress":
        assert console.state("one") == "exited"
        console.call("POST", "containers/one/start")
    assert plugin.holds()["networks"] == 1
    if method != "NetworkDriver.CreateNetwork":
        assert console.until(lambda: console.state("one") == "running"), console.get("containers/one")
        assert plugin.holds() == {"networks": 1, "endpoints": 1, "pools": 1, "addresses": 2}
        (device,) = (
            line
            for line in console.bottle.run(["ip", "-br", "link"], netns=console.sandbox("one")).stdout.splitlines()
            if line.startswith("eth0")
        )
        assert "UP" in device
    assert not console.get("drift")["results"]


def test_a_worker_that_starts_anew_tells_the_plugin_nothing_that_it_knows(
    console: Console, plugin: PluginProcess
) -> None:
    console.network("far", **THEIRS)
    console.serve("one", 80, "from one", network="far")
    console.run("two", network="far")
    since = len(plugin.calls())
    console.product.restart("kernel")
    assert well(console)
    assert plugin.methods(since) == []
    assert console.connects_soon(console.address("one"), 80, netns=console.sandbox("two")) == "from one"
    assert not console.get("drift")["results"]


def test_a_plugin_that_wants_its_addresses_again_has_them_asked_for_when_it_is_back() -> None:
    """``RequiresRequestReplay``: it keeps nothing beyond its own end, and everything is as it was."""
    with Product(SETTINGS) as product:
        console, plugin = Console(product), PluginProcess(product.bottle, env={"FORGETS": "1", "WANTS_MAC": "1"})
        plugin.start(forgets=True)
        assert well(console)
        console.network("near", ipam_driver="tester")
        console.serve("one", 80, "from one", network="near")
        console.run("two", network="near")
        before = {name: endpoint(console, name, "near")["ipv4"] for name in ("one", "two")}
        held = plugin.state()["pools"]
        plugin.kill()
        plugin.start(forgets=True)
        assert plugin.holds() == NOTHING
        assert console.until(lambda: plugin.holds()["addresses"] == 3, within_s=90), plugin.state()
        (pool,) = plugin.state()["pools"].values()
        assert sorted(pool["given"]) == sorted(held["TestLocal/10.99.0.0/24"]["given"])
        assert {name: endpoint(console, name, "near")["ipv4"] for name in ("one", "two")} == before
        assert console.connects_soon(console.address("one"), 80, netns=console.sandbox("two")) == "from one"
        console.tidy()
        assert plugin.holds() == NOTHING


def test_a_host_that_boots_makes_what_restarts_and_takes_back_the_rest() -> None:
    with Product(SETTINGS) as product:
        console, plugin = Console(product), PluginProcess(product.bottle)
        plugin.start()
        assert well(console)
        console.network("far", **OURS)
        console.run("always", network="far", restart_policy={"name": "always"})
        console.run("never", network="far")
        assert plugin.holds()["endpoints"] == 2
        state = (product.bottle.root / "run/plugin.state").read_text()
        product.reboot()
        plugin = PluginProcess(product.bottle)
        (product.bottle.root / "run/plugin.state").write_text(state)  # as a plugin that keeps its state on a disk
        bridge = next(iter(plugin_networks(state)))
        product.bottle.run(["ip", "link", "add", bridge, "type", "bridge"])  # and makes its bridges again at its start
        product.bottle.run(["ip", "link", "set", bridge, "up"])
        plugin.start()
        product.manage("bootstrap")
        product.restart("kernel")
        assert console.until(lambda: console.state("always") == "running", within_s=60), console.get(
            "containers/always"
        )
        assert well(console), seen(console)
        assert console.until(lambda: plugin.holds()["endpoints"] == 1 + (console.state("never") == "running"))
        counts = Counter(call["method"] for call in plugin.calls())
        assert counts["NetworkDriver.CreateNetwork"] == 0, "it has kept its network"
        console.tidy()
        assert plugin.holds() == NOTHING


def plugin_networks(state: str) -> list[str]:
    return [f"tp{network[:10]}" for network in json.loads(state)["networks"]]


def test_down_takes_everything_back_and_the_next_start_tells_it_anew(console: Console, plugin: PluginProcess) -> None:
    product = console.product
    console.network("far", **THEIRS)
    console.serve("one", 80, "from one", network="far")
    before = console.get("networks/far")["subnets"][0]["subnet"]
    for name in ("monitor", "kernel"):
        product.kill(name)
    product.bottle.run([sys.executable, "-m", "worker.down"], env=product.env, timeout=60)
    assert plugin.holds() == NOTHING
    assert no_devices(console)
    product.start("monitor")
    product.restart("kernel")
    assert console.until(lambda: console.state("one") == "running", within_s=30)
    assert plugin.holds() == {"networks": 1, "endpoints": 1, "pools": 1, "addresses": 2}
    assert console.get("networks/far")["subnets"][0]["subnet"] == before
