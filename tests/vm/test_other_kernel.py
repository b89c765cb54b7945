"""What this project's usual kernel lacks, on the distribution's own: 802.1q, ipvlan, ESP, and no legacy ip_tables.

The guest is a throw-away host already: nothing here makes another inside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from networks.cnm.desired import Network
from networks.cnm.errors import Conflict, NotFound
from networks.cnm.names import CNM_NAMING, sandbox_name
from networks.cnm.options import NetworkOptions
from networks.cnm.plan import Step
from networks.cnm.resources import Owner, Resource, Vlan
from tests.kernel.links_lab import ip, missing, sh, take_to
from tests.kernel.test_macvlan import NAMES, comes_to_reach, container, reaches, wire
from tests.testlib.desired import identity, network
from tests.testlib.dump import dump
from tests.testlib.forked import run_forked
from tests.unit.compiled import container as desired_container
from tests.unit.compiled import endpoint
from tests.unit.compiled import host as desired_host
from tests.vm.real import NETNS
from worker.apply.links import KINDS, LinksHandler
from worker.compile import compile_host
from worker.drivers import driver
from worker.facts.features import Features
from worker.facts.observe import observe_facts
from worker.firewall.flavour import choose, command_flavour, survey

TIMEOUT_S = 300
pytestmark = [pytest.mark.kernel, pytest.mark.timeout(TIMEOUT_S + 60)]
OWNER = Owner(kind="network", id="a" * 64, name="lan")
LAN = Network(id="a" * 64, name="lan", driver="macvlan", activation=1)


def in_process_of_its_own(function: Callable[[], None]) -> Callable[[], None]:
    """What a handler holds open ends with the process, as in the product."""

    def test() -> None:
        code, _, printed = run_forked([], lambda: str(function()), TIMEOUT_S)
        unplug()
        assert code == 0, printed

    test.__name__, test.__doc__ = function.__name__, function.__doc__
    return test


def unplug() -> None:
    """The wire of a test, and all that stands on it."""
    if Path("/sys/class/net/lan0").exists():
        sh("ip", "link", "del", "lan0")
    for name in ("lan", *NAMES.values(), C2, C3):
        if (NETNS / name).exists():
            sh("ip", "netns", "del", name)


@in_process_of_its_own
def test_the_probe_finds_what_is_there_and_what_is_not() -> None:
    found = {feature.key: feature.present for feature in Features()()}
    wanted = (
        "link.vlan",
        "link.ipvlan",
        "link.macvlan",
        "link.vxlan",
        "link.veth",
        "link.bridge",
        "esp",
        "esp6",
        "bridge-nf",
    )
    assert {key: found[key] for key in wanted} == dict.fromkeys(wanted, True)
    assert not found["iptables-legacy"]


@in_process_of_its_own
def test_where_legacy_rules_cannot_be_rules_are_written_to_nf_tables() -> None:
    assert choose("auto", survey(CNM_NAMING), command_flavour()).flavour in {"iptables-nft", "nftables"}
    assert not Path("/proc/net/ip_tables_names").exists()


@in_process_of_its_own
def test_a_network_stands_on_a_vlan_and_what_is_untagged_does_not_reach_it() -> None:
    wire()
    sh("ip", "link", "add", "lan0.7", "link", "lan0", "type", "vlan", "id", "7")
    sh("ip", "link", "set", "lan0.7", "up")
    for words in (
        "link add eth0.7 link eth0 type vlan id 7",
        "addr flush dev eth0",
        "addr add 172.30.0.1/16 dev eth0.7",
        "addr add fd00:30::1/64 dev eth0.7 nodad",
        "link set eth0.7 up",
    ):
        sh("ip", "-n", "lan", *words.split())
    facts = observe_facts(lambda: ())
    for name in ("lan0", "lan0.7", "lan0.8"):
        driver("macvlan").check(named(name), facts)
    with pytest.raises(NotFound, match=r"no device lan1\.8"):
        driver("macvlan").check(named("lan1.8"), facts)
    before, handler = dump(), LinksHandler()
    take_to(handler, [*container(2, parent="lan0.7"), *container(3, parent="lan0.7")])
    assert comes_to_reach(NAMES[2], "172.30.0.1")
    assert comes_to_reach(NAMES[2], "172.30.0.3")
    take_to(handler, container(2, parent="lan0.7"))
    take_to(handler, [*container(2, parent="lan0.7"), *container(3, parent="lan0")])
    assert not reaches(NAMES[2], "172.30.0.3"), "the other is not on that VLAN"
    take_to(handler, [])
    assert dump() == before


def tagged(mtu: int = 1400) -> list[Resource]:
    """Two on VLAN 7 of lan0, and another two on its VLAN 8; the sub-interfaces are ours."""
    lans = [Vlan(owner=OWNER, name=f"lan0.{number}", parent="lan0", number=number, mtu=mtu) for number in (7, 8)]
    return [*lans, *container(2, parent="lan0.7"), *container(3, parent="lan0.8")]


def machine_of_vlan(number: int) -> None:
    """The machine of the LAN stands in VLAN *number* alone."""
    sh("ip", "-n", "lan", "addr", "flush", "dev", "eth0")
    for words in (
        f"link add eth0.{number} link eth0 type vlan id {number}",
        f"addr add 172.30.0.1/16 dev eth0.{number}",
        f"addr add fd00:30::1/64 dev eth0.{number} nodad",
        f"link set eth0.{number} up",
    ):
        sh("ip", "-n", "lan", *words.split())


@in_process_of_its_own
def test_a_vlan_that_the_host_lacks_is_made_mended_and_taken_away() -> None:
    wire()
    machine_of_vlan(7)
    before, handler = dump(), LinksHandler()
    take_to(handler, tagged())
    (made,) = ip("link", "show", "dev", "lan0.7")
    assert (made["link"], made["linkinfo"]["info_data"]["id"], made["mtu"]) == ("lan0", 7, 1400)
    assert made["ifalias"] == OWNER.tag
    assert comes_to_reach(NAMES[2], "172.30.0.1")
    assert comes_to_reach(NAMES[2], "fd00:30::1")
    assert not reaches(NAMES[3], "172.30.0.1"), "it is on another VLAN"
    assert observe_facts(lambda: ()).devices == (("lan0", 1400),), "ours are no devices to stand on of the host's own"
    for command, expected in (
        ("link set lan0.7 down", "change vlan"),
        ("link set lan0.7 mtu 1300", "change vlan"),
        ("link del lan0.7", "create vlan"),
    ):
        sh("ip", *command.split())
        assert expected in missing(handler, tagged()), command
        take_to(handler, tagged())
        assert comes_to_reach(NAMES[2], "172.30.0.1"), command
    take_to(handler, [])
    assert dump() == before


@in_process_of_its_own
def test_a_vlan_that_was_there_stays_as_it_was() -> None:
    wire()
    sh("ip", "link", "add", "lan0.7", "link", "lan0", "type", "vlan", "id", "7")
    sh("ip", "link", "set", "lan0.7", "up")
    before, handler = dump(), LinksHandler()
    done: list[Step] = []
    wanted = [item for item in tagged() if item.key != ("vlan", "lan0.8")][:1]
    handler.apply([Step(None, item) for item in wanted], done.append)
    assert len(done) == 1
    assert dump() == before
    handler.apply([Step(item, None) for item in wanted], done.append)
    assert dump() == before


@in_process_of_its_own
def test_what_is_in_the_way_of_a_vlan_is_named_and_nothing_is_left_of_it() -> None:
    wire()
    sh("ip", "link", "add", "lan0.7", "link", "lan0", "type", "vlan", "id", "9")
    before, handler = dump(), LinksHandler()
    with pytest.raises(Conflict, match=r"lan0\.7 exists on the host, and no network can stand on it as VLAN 7 of lan0"):
        handler.apply([Step(None, item) for item in tagged()[:2]], lambda step: None)
    assert dump() == before
    sh("ip", "link", "set", "lan0.7", "name", "seven")
    with pytest.raises(Conflict, match=r"no device lan1, of which lan1\.7"):
        handler.apply([Step(None, replace(tagged()[0], name="lan1.7", parent="lan1"))], lambda step: None)  # type: ignore[call-arg]


def named(parent: str) -> Network:
    return Network(id=LAN.id, name="lan", driver="macvlan", activation=1, options=NetworkOptions(parent=parent))


def lan_of(number: int, subnets: tuple[str, ...], **options: str) -> tuple[Resource, ...]:
    """What an ipvlan network on lan0 with two containers compiles to on this host."""
    lan = replace(network(number, "lan", *subnets, **({"parent": "lan0"} | options)), driver="ipvlan")
    facts = observe_facts(Features())
    driver("ipvlan").check(lan, facts)
    there = [desired_container(one, endpoint(one, lan, *(in_subnet(text, one) for text in subnets))) for one in (2, 3)]
    found = compile_host(desired_host(*there, networks=(lan,)), facts)
    return tuple(item for item in found if item.kind in KINDS)


def in_subnet(subnet: str, number: int) -> str:
    cidr = ip_network(subnet)
    return f"{cidr[number]}/{cidr.prefixlen}"


C2, C3 = sandbox_name(identity(2)), sandbox_name(identity(3))
LAYER_2 = ("172.30.0.0/16", "fd00:30::0/64")


@in_process_of_its_own
def test_an_ipvlan_of_layer_2_is_on_the_wire_with_its_parents_mac() -> None:
    wire()
    before, handler = dump(), LinksHandler()
    wanted = lan_of(4, LAYER_2)
    take_to(handler, wanted)
    (device,) = ip("-n", C2, "addr", "show", "dev", "eth0")
    assert device["address"] == ip("link", "show", "dev", "lan0")[0]["address"]
    assert device["mtu"] == 1400
    for address in ("172.30.0.3", "172.30.0.1", "fd00:30::3", "fd00:30::1"):
        assert comes_to_reach(C2, address), address
    assert not reaches(C2, "172.30.0.9"), "the parent's own address is the host's"
    for command, expected in (
        ("link set eth0 down", "change ipvlan"),
        ("link set eth0 type ipvlan mode l3", "change ipvlan"),
        ("link set eth0 type ipvlan private", "change ipvlan"),
        ("addr del 172.30.0.2/16 dev eth0", "create address"),
        ("link del eth0", "create address"),
    ):
        sh("ip", "-n", C2, *command.split())
        assert expected in missing(handler, wanted), command
        take_to(handler, wanted)
        assert comes_to_reach(C2, "172.30.0.1"), command
    for _ in range(3):
        take_to(handler, [])
        assert dump() == before
        take_to(handler, wanted)
        assert comes_to_reach(C2, "172.30.0.1"), "its address is its own again at once"
    take_to(handler, [])
    assert dump() == before


@in_process_of_its_own
def test_in_private_mode_those_on_an_ipvlan_reach_the_wire_alone() -> None:
    wire()
    handler = LinksHandler()
    take_to(handler, lan_of(4, LAYER_2, ipvlan_flag="private"))
    assert comes_to_reach(C2, "172.30.0.1")
    assert not reaches(C2, "172.30.0.3")
    take_to(handler, [])


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_an_ipvlan_of_layer_3_is_routed_by_the_host(mode: str) -> None:
    def routed() -> None:
        wire()
        before, handler = dump(), LinksHandler()
        wanted = lan_of(4, ("10.9.0.0/24",), ipvlan_mode=mode)
        take_to(handler, wanted)
        assert "default dev eth0" in sh("ip", "-n", C2, "route")
        assert comes_to_reach(C2, "10.9.0.3")
        assert not reaches(C2, "172.30.0.1"), "the machine knows no way back"
        sh("ip", "-n", "lan", "route", "add", "10.9.0.0/24", "via", "172.30.0.9")
        assert comes_to_reach(C2, "172.30.0.1")
        sh("ip", "-n", C2, "route", "del", "default")
        assert missing(handler, wanted) == {"create route"}
        take_to(handler, wanted)
        assert comes_to_reach(C2, "172.30.0.1")
        take_to(handler, [])
        assert dump() == before

    in_process_of_its_own(routed)()


@in_process_of_its_own
def test_an_ipvlan_stands_on_a_vlan_that_is_made_for_it() -> None:
    wire()
    machine_of_vlan(7)
    before, handler = dump(), LinksHandler()
    take_to(handler, lan_of(4, LAYER_2, parent="lan0.7"))
    assert comes_to_reach(C2, "172.30.0.1")
    take_to(handler, [])
    assert dump() == before
