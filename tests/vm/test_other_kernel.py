"""What this project's usual kernel lacks, on the distribution's own: 802.1q, ipvlan, ESP, and no legacy ip_tables.

The guest is a throw-away host already: nothing here makes another inside it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from networks.cnm.desired import Network
from networks.cnm.errors import NotFound, Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.names import CNM_NAMING
from networks.cnm.options import NetworkOptions
from tests.kernel.test_links import sh, take_to
from tests.kernel.test_macvlan import NAMES, comes_to_reach, container, reaches, wire
from tests.testlib.dump import dump
from tests.testlib.forked import run_forked
from worker.apply.links import LinksHandler
from worker.drivers import driver
from worker.facts.features import Features
from worker.facts.observe import observe_facts
from worker.firewall.flavour import choose, command_flavour, survey

TIMEOUT_S = 300
pytestmark = [pytest.mark.kernel, pytest.mark.timeout(TIMEOUT_S + 60)]
LAN = Network(id="a" * 64, name="lan", driver="macvlan", activation=1)


def in_process_of_its_own(function: Callable[[], None]) -> Callable[[], None]:
    """What a handler holds open ends with the process, as in the product."""

    def test() -> None:
        code, _, printed = run_forked([], lambda: str(function()), TIMEOUT_S)
        assert code == 0, printed

    test.__name__, test.__doc__ = function.__name__, function.__doc__
    return test


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
    for name in ("lan0", "lan0.7"):
        driver("macvlan").check(named(name), facts)
    with pytest.raises(NotFound, match=r"no device lan0\.8"):
        driver("macvlan").check(named("lan0.8"), facts)
    before, handler = dump(), LinksHandler()
    take_to(handler, [*container(2, parent="lan0.7"), *container(3, parent="lan0.7")])
    assert comes_to_reach(NAMES[2], "172.30.0.1")
    assert comes_to_reach(NAMES[2], "172.30.0.3")
    take_to(handler, container(2, parent="lan0.7"))
    take_to(handler, [*container(2, parent="lan0.7"), *container(3, parent="lan0")])
    assert not reaches(NAMES[2], "172.30.0.3"), "the other is not on that VLAN"
    take_to(handler, [])
    assert dump() == before


def named(parent: str) -> Network:
    return Network(id=LAN.id, name="lan", driver="macvlan", activation=1, options=NetworkOptions(parent=parent))


def test_ipvlan_is_refused_for_want_of_a_driver_and_not_of_a_kernel() -> None:
    facts = HostFacts(version="1", features=Features()())
    with pytest.raises(Unsupported, match="ipvlan driver is not built"):
        driver("ipvlan").check(LAN, facts)
