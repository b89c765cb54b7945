"""What rules networks compile to."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from networks.cnm.options import NetworkOptions
from networks.cnm.resources import PortReservation, Sysctl
from networks.cnm.rules import Chain, Rule
from tests.testlib.desired import network, published

from .compiled import BRIDGE, DUAL, ON_WEB, WEB, compiled, container, endpoint, rules


def test_every_rule_carries_its_owners_id() -> None:
    for resource in compiled(container(16, endpoint(16, WEB, "172.18.0.2/16"), ports=(published(),))):
        if isinstance(resource, Rule):
            assert f'--comment "{resource.owner.tag}"' in resource.text


@pytest.mark.parametrize("names", ["cnm", "docker"])
def test_every_chain_that_a_rule_stands_in_or_leads_to_is_there(names: str) -> None:
    restricted = container(16, endpoint(16, WEB, "172.18.0.2/16"), ports=(published(8080, "", "10.0.0.0/8"),))
    for networks in ((), (WEB,), (DUAL, WEB), (replace(WEB, internal=True),)):
        live = (restricted,) if WEB in networks else ()
        found = compiled(*live, networks=networks, names=names)
        chains = {(item.family, item.table, item.name) for item in found if isinstance(item, Chain)}
        for rule in (item for item in found if isinstance(item, Rule)):
            for chain in (rule.chain, rule.target.name):
                if chain.startswith(names.upper()):
                    assert (rule.family, rule.table, chain) in chains, rule.describe()


def test_in_docker_naming_no_rule_carries_a_comment_and_ipv6_has_none() -> None:
    found = [item for item in compiled(ON_WEB, names="docker") if isinstance(item, Rule)]
    assert found
    assert not [rule for rule in found if "comment" in rule.text or rule.family == 6]


def test_a_change_of_one_container_moves_no_rule_of_another() -> None:
    one = container(16, endpoint(16, WEB, "172.18.0.2/16"), ports=(published(8080),))
    two = container(17, endpoint(17, WEB, "172.18.0.3/16"), ports=(published(8081),))
    alone = {rule.key: rule for rule in compiled(two) if isinstance(rule, Rule)}
    both = {rule.key: rule for rule in compiled(one, two) if isinstance(rule, Rule)}
    assert all(both[key] == rule for key, rule in alone.items())


def test_icc_false_needs_bridge_filtering() -> None:
    closed = network(4, "closed", "172.20.0.0/16", icc=False)
    names = {item.name for item in compiled(networks=(BRIDGE, closed)) if isinstance(item, Sysctl)}
    assert "net.bridge.bridge-nf-call-iptables" in names
    assert not {
        item.name for item in compiled(networks=(BRIDGE,)) if isinstance(item, Sysctl) and "bridge" in item.name
    }


def test_icc_false_drops_within_the_networks_own_block() -> None:
    closed = network(4, "closed", "172.20.0.0/16", icc=False)
    forward = rules(compiled(networks=(BRIDGE, closed)), "filter", "FORWARD")
    assert forward.index("-A FORWARD -i br-000000000004 -o br-000000000004 -j DROP") < forward.index(
        "-A FORWARD -o cnm0 -j CNM"
    )


def test_without_iptables_there_is_no_rule_at_all() -> None:
    assert not [item for item in compiled(ON_WEB, iptables=False) if isinstance(item, Rule | Chain)]


def test_masquerading_of_the_default_bridge_can_be_left_out() -> None:
    lines = rules(compiled(networks=(BRIDGE, WEB), ip_masq=False), "nat", "POSTROUTING")
    assert lines == ["-A POSTROUTING -s 172.18.0.0/16 ! -o br-000000000002 -j MASQUERADE"]


def test_a_fixed_address_replaces_masquerading() -> None:
    fixed = network(4, "fixed", "172.20.0.0/16", host_ipv4=IPv4Address("192.0.2.9"))
    lines = rules(compiled(networks=(fixed,)), "nat", "POSTROUTING")
    assert lines == ["-A POSTROUTING -s 172.20.0.0/16 ! -o br-000000000004 -j SNAT --to-source 192.0.2.9"]


def test_an_internal_network_lets_nothing_in_or_out_and_publishes_nothing() -> None:
    inner = network(4, "inner", "172.20.0.0/16", internal=True)
    found = compiled(container(16, endpoint(16, inner, "172.20.0.2/16"), ports=(published(),)), networks=(inner,))
    assert rules(found, "filter", "CNM-ISOLATION-STAGE-1") == [
        "-A CNM-ISOLATION-STAGE-1 ! -s 172.20.0.0/16 -o br-000000000004 -j DROP",
        "-A CNM-ISOLATION-STAGE-1 ! -d 172.20.0.0/16 -i br-000000000004 -j DROP",
        "-A CNM-ISOLATION-STAGE-1 -j RETURN",
    ]
    assert not [
        item
        for item in found
        if isinstance(item, PortReservation) or (isinstance(item, Rule) and item.table != "filter")
    ]


def test_a_routed_network_opens_published_ports_and_translates_nothing() -> None:
    routed = network(4, "routed", "172.20.0.0/16", gateway_mode_ipv4="routed")
    found = compiled(container(16, endpoint(16, routed, "172.20.0.2/16"), ports=(published(),)), networks=(routed,))
    assert rules(found, "filter", "CNM") == [
        "-A CNM -d 172.20.0.2/32 ! -i br-000000000004 -o br-000000000004 -p tcp -m tcp --dport 80 -j ACCEPT",
        "-A CNM ! -i br-000000000004 -o br-000000000004 -p icmp -j ACCEPT",
        "-A CNM ! -i br-000000000004 -o br-000000000004 -j DROP",
    ]
    assert "-A CNM-ISOLATION-STAGE-2 -o br-000000000004 -j CNM" in rules(found, "filter", "CNM-ISOLATION-STAGE-2")
    assert not rules(found, "nat", "POSTROUTING")
    assert not rules(found, "raw", "PREROUTING")
    assert not [item for item in found if isinstance(item, PortReservation) and item.host_address.version == 4]


def test_an_unprotected_network_lets_everybody_in() -> None:
    open_ = network(4, "open", "172.20.0.0/16", gateway_mode_ipv4="nat-unprotected")
    found = compiled(container(16, endpoint(16, open_, "172.20.0.2/16"), ports=(published(),)), networks=(open_,))
    assert rules(found, "filter", "CNM")[-1] == "-A CNM ! -i br-000000000004 -o br-000000000004 -j ACCEPT"
    assert not rules(found, "raw", "PREROUTING")


def test_direct_access_to_a_containers_address_is_closed() -> None:
    found = compiled(container(16, endpoint(16, DUAL, "172.19.0.2/16", "fd00:19::2/64")))
    assert rules(found, "raw", "PREROUTING") == ["-A PREROUTING -d 172.19.0.2/32 ! -i br-000000000003 -j DROP"]
    assert rules(found, "raw", "PREROUTING", 6) == ["-A PREROUTING -d fd00:19::2/128 ! -i br-000000000003 -j DROP"]
    assert not rules(compiled(ON_WEB, hardening=False), "raw", "PREROUTING")


def test_trusted_interfaces_stand_above_every_guard_of_a_containers_address() -> None:
    trusting = replace(WEB, options=NetworkOptions(trusted_interfaces=("wg0", "eth0.100")))
    one, two = (
        container(16, endpoint(17, trusting, "172.18.0.2/16")),
        container(18, endpoint(19, BRIDGE, "172.17.0.2/16")),
    )
    found = compiled(two, one, networks=(BRIDGE, trusting, DUAL))
    lines = sorted(
        (item.rank, item.text.partition(" -m comment")[0])
        for item in found
        if isinstance(item, Rule) and (item.table, item.chain) == ("raw", "PREROUTING")
    )
    drops = [text for _, text in lines if "-i !" in text or "! -i" in text]
    assert [text for _, text in lines][:2] == [
        "-A PREROUTING -d 172.18.0.2/32 -i wg0",
        "-A PREROUTING -d 172.18.0.2/32 -i eth0.100",
    ]
    assert len(drops) == len(lines) - 2 == 2
    for changed in (replace(trusting, internal=True), replace(trusting, options=NetworkOptions())):
        again = compiled(one, networks=(BRIDGE, changed, DUAL))
        assert not any(isinstance(item, Rule) and "wg0" in item.text for item in again)


def test_the_reasons_of_rules_hold_no_words_that_stay_english() -> None:
    """What fills a place of a sentence is a name, a number or an address; a word of ours is a sentence of its own."""
    port = published(8080)
    found = compiled(container(17, endpoint(17, DUAL, "172.19.0.2/16", "fd00:19::2/64"), ports=(port,)), ON_WEB)
    foreign = [
        value
        for item in found
        for _, value in item.why.params
        if isinstance(value, str) and " " in value.replace(", ", "")
    ]
    assert not foreign
