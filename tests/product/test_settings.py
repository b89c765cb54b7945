"""Settings from the environment, each seen in the kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testlib.product import Product

from .conftest import Console

pytestmark = pytest.mark.kernel

BRIDGE = {
    "CNM_BRIDGE_NAME": "lan0",
    "CNM_BIP": "10.80.0.1/24",
    "CNM_FIXED_CIDR": "10.80.0.128/25",
    "CNM_MTU": "1400",
    "CNM_ICC": "false",
    "CNM_IP_MASQ": "false",
    "CNM_DNS": "192.0.2.53",
    "CNM_DEFAULT_ADDRESS_POOLS": "10.99.0.0/16:24",
    "CNM_IPAM_ORDER": "lowest",
    "CNM_HARDENING": "false",
    "CNM_AUTO_REPAIR": "true",
}


@pytest.fixture(scope="module")
def other() -> Iterator[Console]:
    """A product whose default bridge is as the environment says."""
    with Product(BRIDGE) as product:
        yield Console(product)


def test_the_default_bridge_has_its_address_range_and_mtu(other: Console) -> None:
    console = other
    console.run("web")
    assert "10.80.0.1/24" in console.bottle.run(["ip", "-4", "-o", "addr", "show", "lan0"]).stdout
    assert console.bottle.run(["ip", "link", "show", "cnm0"], check=False).returncode, (
        "it has the name of the settings alone"
    )
    assert console.address("web") == "10.80.0.128"
    device = console.get("containers/web")["endpoints"][0]["device"]
    assert {console.bottle.ip("link", "show", name)[0]["mtu"] for name in ("lan0", device)} == {1400}
    assert console.bottle.ip("link", "show", "eth0", netns=console.sandbox("web"))[0]["mtu"] == 1400
    console.remove("web")
    console.run("next")
    assert console.address("next") == "10.80.0.128", "CNM_IPAM_ORDER=lowest: the freed address is given again"
    console.remove("next")


def test_its_containers_do_not_talk_and_are_not_masqueraded(other: Console) -> None:
    console = other
    console.serve("a", 80)
    console.run("b")
    address = console.address("a")
    assert console.connects_soon(address, 80, netns=None) == "hello"
    assert console.connects(address, 80, netns=console.sandbox("b")) is None
    assert "10.80.0.0/24" not in console.iptables("nat")
    console.remove("a", "b")


def test_containers_ask_the_name_servers_of_the_settings(other: Console) -> None:
    console = other
    console.run("web")
    assert "nameserver 192.0.2.53\n" in console.inside("web", "cat", "/etc/resolv.conf")["stdout"]
    console.remove("web")


def test_networks_take_their_subnets_from_the_pools(other: Console) -> None:
    console = other
    made = console.network("app")
    assert made["subnets"][0]["subnet"] == "10.99.0.0/24"
    assert "10.99.0.1/24" in console.bottle.run(["ip", "-4", "-o", "addr", "show", made["bridge"]]).stdout
    console.call("DELETE", "networks/app")


def test_without_hardening_a_container_is_reached_by_routing(other: Console) -> None:
    console = other
    console.network("app", subnets=[{"subnet": "10.98.0.0/24"}])
    console.serve("web", 80, network="app")
    console.bottle.run(["ip", "route", "add", "10.98.0.0/24", "via", "192.0.2.2"], netns="outside")
    assert console.connects_soon(console.address("web"), 80) == "hello"
    assert "-j DROP" not in console.iptables("raw")
    console.remove("web")
    console.call("DELETE", "networks/app")


def test_drift_is_repaired_by_itself(other: Console) -> None:
    console = other
    console.serve("web", 80, ports=["8080:80"])
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    console.bottle.run(["iptables", "-t", "nat", "-F"])
    assert console.until(lambda: "--dport 8080" in console.iptables("nat"))
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    repaired = console.get("operations", verb="host.repair")["results"]
    assert repaired
    assert repaired[0]["created_by"] == "worker"
    console.remove("web")


def test_without_a_proxy_rules_alone_lead_by_127_0_0_1_and_forwarding_is_left_alone() -> None:
    with Product({"CNM_USERLAND_PROXY": "false", "CNM_IP_FORWARD": "false"}) as product:
        console = Console(product)
        forward = console.bottle.run(["sysctl", "-n", "net.ipv4.ip_forward"]).stdout.strip()
        console.serve("web", 80, ports=["8080:80"])
        assert console.connects_soon("127.0.0.1", 8080, netns=None) == "hello"
        assert console.bottle.run(["sysctl", "-n", "net.ipv4.conf.cnm0.route_localnet"]).stdout.strip() == "1"
        assert console.bottle.run(["sysctl", "-n", "net.ipv4.ip_forward"]).stdout.strip() == forward == "0"


def test_without_iptables_no_rule_is_written() -> None:
    with Product({"CNM_IPTABLES": "false"}) as product:
        console = Console(product)
        before = console.bottle.run(["iptables-save"]).stdout
        console.serve("web", 80, ports=["8080:80"])
        assert console.bottle.run(["iptables-save"]).stdout == before
        assert "CNM" not in before
        assert console.until(lambda: console.connects(console.address("web"), 80, netns=None)) == "hello"
        assert console.connects_soon("192.0.2.2", 8080) == "hello", "the port holder carries it"
