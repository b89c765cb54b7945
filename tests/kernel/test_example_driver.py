"""The driver of docs/drivers.md, as it stands there: compiled, written to a kernel, and asked by packets."""

from __future__ import annotations

import re
import sys
import types
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from networks.cnm.addresses import AnyNetwork
from networks.cnm.desired import Container, Endpoint, Host, HostSettings, Network, Subnet
from networks.cnm.errors import InvalidSpec, Unsupported
from networks.cnm.facts import Feature, HostFacts
from networks.cnm.resources import Resource
from networks.services.spec_network import read_network
from tests.testlib.bottle import inside
from tests.testlib.dump import dump
from worker.apply.links import KINDS, LinksHandler
from worker.compile import compile_host
from worker.drivers import DRIVERS, Driver, driver

from .links_lab import ip, sh, take_to
from .test_macvlan import reaches

PAGE = Path(__file__).parents[2] / "docs" / "drivers.md"
SUBNET: AnyNetwork = IPv4Interface("10.77.0.1/24").network
NETWORK = Network(
    id="5" * 63 + "a", name="lab", driver="switch", activation=1, subnets=(Subnet(subnet=SUBNET, gateway=SUBNET[1]),)
)
BRIDGE = replace(NETWORK, id="6" * 63 + "a", name="app", driver="bridge", activation=2)


def example() -> str:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return str(code)


def made() -> Driver:
    module = types.ModuleType("switch")
    sys.modules["switch"] = module
    exec(compile(example(), str(PAGE), "exec"), module.__dict__)  # noqa: S102  # our own page
    found: Driver = module.SwitchDriver()
    return found


def container(number: int, *networks: Network) -> Container:
    endpoints = tuple(
        Endpoint(
            id=f"{number}{place}" * 32,
            network_id=network.id,
            ifname=f"eth{place}",
            ipv4=IPv4Interface(f"10.77.{place}.{number}/24"),
        )
        for place, network in enumerate(networks)
    )
    return Container(id=f"{number}" * 63 + "c", name=f"c{number}", kind="sandbox", live=True, endpoints=endpoints)


def links_of(*containers: Container, networks: tuple[Network, ...] = (NETWORK,)) -> list[Resource]:
    host = Host(id="h", settings=HostSettings(embedded_dns=False), networks=networks, containers=containers)
    return [item for item in compile_host(host, HostFacts()) if item.kind in KINDS]


def test_it_has_60_lines_and_is_chosen_by_its_line_in_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 50 <= len(example().splitlines()) <= 60
    monkeypatch.setitem(DRIVERS, "switch", made())
    assert driver("switch").description
    lacking = HostFacts(features=(Feature(key="link.bridge", present=False, detail="No bridges.", remedy="Get them."),))
    with pytest.raises(Unsupported, match="No bridges"):
        driver("switch").check(NETWORK, lacking)
    asked = {"name": "lab", "driver": "switch", "options": {"com.docker.network.bridge.enable_icc": "false"}}
    with pytest.raises(InvalidSpec, match="has no option"):
        read_network(asked)
    found = links_of(container(2, NETWORK))
    assert [item.kind for item in found] == ["bridge", "sandbox", "veth", "address"], "no way out, and no gateway"
    assert {item.owner.kind for item in found} == {"network", "container", "endpoint"}
    assert all(str(item.why) for item in found)


@pytest.mark.kernel
@inside
def test_its_containers_reach_one_another_and_the_host_does_not_reach_them() -> None:
    DRIVERS["switch"] = made()  # of this process, which ends with the test
    before = dump()
    handler = LinksHandler()
    take_to(handler, links_of(container(2, NETWORK), container(3, NETWORK)))
    assert reaches("cnm-222222222222", "10.77.0.3")
    assert "Network is unreachable" in sh("sh", "-c", "busybox ping -c1 -W1 10.77.0.3 2>&1 || true")
    assert ip("-n", "cnm-222222222222", "route", "show", "default") == []
    take_to(handler, [])
    assert dump() == before


def test_the_way_outside_of_a_container_on_several_networks_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRIVERS, "switch", made())
    bridge = replace(BRIDGE, name="zzz", subnets=(Subnet(subnet=IPv4Interface("10.77.1.1/24").network, gateway=None),))
    bridge = replace(bridge, subnets=(replace(bridge.subnets[0], gateway=bridge.subnets[0].subnet[1]),))
    found = links_of(container(2, NETWORK, bridge), networks=(NETWORK, bridge))
    assert [item.describe() for item in found if item.kind == "route"] == [
        "route default via 10.77.1.1 dev eth1 in cnm-222222222222"
    ]
