"""What published ports compile to."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from networks.cnm.facts import Feature
from networks.cnm.resources import PortReservation
from networks.cnm.rules import Chain, Rule
from tests.testlib.desired import network, published
from worker.compile import compile_host

from .compiled import BRIDGE, DUAL, FACTS, ON_WEB, WEB, compiled, container, endpoint, host, rules


def test_a_port_published_on_loopback_is_closed_to_the_outside() -> None:
    found = compiled(container(16, endpoint(16, WEB, "172.18.0.2/16"), ports=(published(8081, "127.0.0.1"),)))
    assert "-A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 8081 -j DROP" in rules(
        found, "raw", "PREROUTING"
    )


def test_allowed_sources_let_those_in_and_keep_the_rest_out() -> None:
    ports = (published(8080, "", "10.0.0.0/8", "2001:db8::/32"), published(9090))
    found = compiled(container(16, endpoint(16, DUAL, "172.19.0.2/16", "fd00:19::2/64"), ports=ports))
    way = "! -i br-000000000003 -o br-000000000003 -p tcp -m tcp --dport 80"
    called = "-m conntrack --ctorigdstport 8080"
    held = "! -i lo -p tcp -m tcp --dport 8080 -m addrtype --dst-type LOCAL"
    assert rules(found, "filter", "CNM") == [
        f"-A CNM -s 10.0.0.0/8 -d 172.19.0.2/32 {way} {called} -j ACCEPT",
        f"-A CNM -d 172.19.0.2/32 {way} {called} -j DROP",
        f"-A CNM -d 172.19.0.2/32 {way} -j ACCEPT",
        f"-A CNM -s 10.0.0.0/8 {held} -j RETURN",
        f"-A CNM {held} -j DROP",
    ]
    assert rules(found, "filter", "INPUT") == ["-A INPUT ! -i lo -p tcp -m tcp --dport 8080 -j CNM"]
    assert rules(found, "filter", "CNM", 6) == [
        f"-A CNM -s 2001:db8::/32 -d fd00:19::2/128 {way} {called} -j ACCEPT",
        f"-A CNM -d fd00:19::2/128 {way} {called} -j DROP",
        f"-A CNM -d fd00:19::2/128 {way} -j ACCEPT",
        f"-A CNM -s 2001:db8::/32 {held} -j RETURN",
        f"-A CNM {held} -j DROP",
    ]


@pytest.mark.parametrize(
    ("change", "carried"), [({"names": "docker"}, {4}), ({"iptables": False}, set()), ({}, {4, 6})]
)
def test_a_restricted_port_is_only_carried_where_rules_guard_it(change: dict[str, object], carried: set[int]) -> None:
    found = compiled(replace(ON_WEB, ports=(published(8080, "", "10.0.0.0/8"),)), networks=(WEB, DUAL), **change)
    held = [item for item in found if isinstance(item, PortReservation)]
    assert {item.host_address.version for item in held} == {4, 6}
    assert {item.host_address.version for item in held if item.target} == carried


def test_a_port_on_every_address_is_held_for_both_families() -> None:
    held = [item for item in compiled(replace(ON_WEB, ports=(published(),))) if isinstance(item, PortReservation)]
    assert [(str(item.host_address), item.target) for item in held] == [
        ("0.0.0.0", ("172.18.0.2", 80)),
        ("::", ("172.18.0.2", 80)),
    ]
    bare = compiled(replace(ON_WEB, ports=(published(),)), userland_proxy=False)
    assert {item.target for item in bare if isinstance(item, PortReservation)} == {None}


def test_a_host_booted_without_ipv6_is_asked_for_none() -> None:
    facts = replace(FACTS, features=(Feature(key="ipv6", present=False),))
    restricted = published(8080, "", "10.0.0.0/8")
    found = compile_host(host(replace(ON_WEB, ports=(restricted, published(8081))), networks=(BRIDGE, WEB)), facts)
    assert {str(item.host_address) for item in found if isinstance(item, PortReservation)} == {"0.0.0.0"}
    assert {item.family for item in found if isinstance(item, Rule | Chain)} == {4}


def test_ipv6_has_its_own_translations() -> None:
    found = compiled(container(16, endpoint(16, DUAL, "172.19.0.2/16", "fd00:19::2/64"), ports=(published(),)))
    translation = (
        "-A CNM ! -s fe80::/10 ! -i br-000000000003 -p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00:19::2]:80"
    )
    assert translation in rules(found, "nat", "CNM", 6)
    assert "-A OUTPUT ! -d ::1/128 -m addrtype --dst-type LOCAL -j CNM" in rules(found, "nat", "OUTPUT", 6)


def test_a_port_that_has_no_number_yet_is_not_published() -> None:
    found = compiled(replace(ON_WEB, ports=(published(0),)))
    assert not [item for item in found if isinstance(item, PortReservation)]
    assert not [line for line in rules(found, "nat", "CNM") if "DNAT" in line]


def test_the_networks_default_binding_holds_for_ports_that_name_no_address() -> None:
    bound = network(4, "bound", "172.20.0.0/16", host_binding=IPv4Address("127.0.0.1"))
    ports = (published(8080), published(8081, "192.0.2.2"))
    found = compiled(container(16, endpoint(16, bound, "172.20.0.2/16"), ports=ports), networks=(bound,))
    assert {str(item.host_address) for item in found if isinstance(item, PortReservation)} == {"127.0.0.1", "192.0.2.2"}
