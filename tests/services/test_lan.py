"""Networks in the host's own LAN, and containers without one of ours: what is made, and what is refused with which words."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from networks.cnm.errors import CnmError, Conflict, Forbidden, InvalidSpec, Unsupported
from networks.load import load_facts, load_host
from networks.models import Container, Network
from networks.represent import network as represented
from networks.represent import prepared
from networks.services import containers, networks, ports
from networks.services.network_changes import update_network
from networks.services.spec_container import AttachRequest, read_container
from networks.services.spec_network import read_changes
from networks.services.spec_ports import PortRequest
from tests.testlib.world import OPERATOR, World
from worker.compile import compile_host

LAN = {"driver": "macvlan", "options": {"parent": "lan0"}, "subnets": [{"subnet": "192.0.2.0/29"}]}


@pytest.fixture
def lan(world: World) -> World:
    """A host at 192.0.2.2 in 192.0.2.0/29, whose name server and router are there too."""
    world.host.facts = {
        "version": "1",
        "devices": [["lan0", 1400], ["lan0.7", 1400]],
        "addresses": [["lan0", "192.0.2.2/29"]],
        "onlink": ["192.0.2.0/29"],
        "nameservers": ["192.0.2.3"],
        "gateways": ["192.0.2.6", "fe80::1"],
        "features": [
            {"key": "link.macvlan", "present": True},
            {
                "key": "link.vlan",
                "present": False,
                "detail": "The kernel has no vlan devices.",
                "remedy": "Another kernel.",
            },
        ],
    }
    world.host.save()
    return world


def refusal(world: World, kind: type[CnmError], **spec: Any) -> CnmError:
    with pytest.raises(kind) as refused:
        world.network("lan", **(LAN | spec))
    return refused.value


def test_a_lans_own_subnet_is_no_collision_and_its_machines_addresses_are_given_to_nobody(lan: World) -> None:
    row = lan.network("lan", **LAN)
    assert row.subnets.get().gateway == "192.0.2.1"
    taken = [lan.container(f"c{number}", network="lan").endpoints.get().ipv4 for number in range(2)]
    assert taken == ["192.0.2.4/29", "192.0.2.5/29"]
    with pytest.raises(Conflict, match="no free address"):
        lan.container("one-too-many", network="lan")
    for address in ("192.0.2.2", "192.0.2.3", "192.0.2.6"):
        with pytest.raises(Conflict, match="is the host's, or that of a router or name server"):
            lan.container("fixed", network="lan", ipv4=address)


def test_the_networks_mtu_is_its_parents_and_its_endpoints_have_no_end_on_the_host(lan: World) -> None:
    row = lan.network("lan", **LAN)
    lan.container("c", network="lan")
    shown = represented(prepared(Network).get(pk=row.pk))
    assert (shown["mtu"], shown["bridge"], shown["endpoints"][0]["device"]) == (1400, "", "")


def test_a_vlan_that_the_host_has_is_a_parent_and_one_that_it_cannot_make_is_refused_with_the_reason(
    lan: World,
) -> None:
    lan.network("tagged", **(LAN | {"options": {"parent": "lan0.7"}}))
    error = refusal(lan, Unsupported, options={"parent": "lan0.8"}, subnets=[])
    assert str(error.sentence).startswith("lan0.8 would be a VLAN sub-interface of lan0, and this host cannot make one")
    assert (error.field, str(error.remedy)) == ("options.parent", "Another kernel.")


def with_vlans(world: World) -> None:
    """A kernel that has 802.1q."""
    world.host.facts["features"][1] = {"key": "link.vlan", "present": True}
    world.host.save()


def test_a_vlan_that_nobody_made_is_planned_with_its_network_and_has_the_mtu_of_its_device(lan: World) -> None:
    with_vlans(lan)
    row = lan.network("tagged", **(LAN | {"options": {"parent": "lan0.8"}}))
    assert represented(prepared(Network).get(pk=row.pk))["mtu"] == 1400
    wanted = compile_host(load_host(lan.host), load_facts(lan.host))
    assert [item.describe() for item in wanted if item.kind == "vlan"] == ["vlan lan0.8 link lan0 id 8 mtu 1400"]


@pytest.mark.parametrize(
    ("parent", "kind", "words"),
    [
        ("lan0.0", InvalidSpec, "lan0.0 would be VLAN 0 of lan0, and there is none"),
        ("lan0.4095", InvalidSpec, "lan0.4095 would be VLAN 4095 of lan0, and there is none"),
        ("lan0.08", Conflict, "no device lan0.08"),
        ("lan0.x", Conflict, "no device lan0.x"),
        ("lan0.-1", Conflict, "no device lan0.-1"),
        ("lan1.8", Conflict, "no device lan1.8"),
        ("lan0.9.8", Conflict, "no device lan0.9.8"),
    ],
)
def test_a_vlan_has_a_number_and_a_device_that_is_there(
    lan: World, parent: str, kind: type[CnmError], words: str
) -> None:
    with_vlans(lan)
    error = refusal(lan, kind, options={"parent": parent})
    assert error.field == "options.parent"
    assert words in str(error.sentence)


def test_a_vlans_network_asks_for_no_more_mtu_than_its_device_has(lan: World) -> None:
    with_vlans(lan)
    options = {"parent": "lan0.8", "com.docker.network.driver.mtu": "1500"}
    assert "more than that of lan0.8, 1400" in str(refusal(lan, InvalidSpec, options=options).sentence)


@pytest.mark.parametrize(
    ("options", "kind", "field", "words"),
    [
        ({}, InvalidSpec, "options.parent", "stands on a device of the host, and none is named"),
        ({"parent": "wlan9"}, Conflict, "options.parent", "no device wlan9"),
        ({"parent": "../x"}, InvalidSpec, "options.parent", "not a value"),
        ({"parent": "lan0", "macvlan_mode": "passthru"}, InvalidSpec, "options.macvlan_mode", "not a value"),
        (
            {"parent": "lan0", "com.docker.network.driver.mtu": "1500"},
            InvalidSpec,
            "options.com.docker.network.driver.mtu",
            "more than that of lan0, 1400",
        ),
        (
            {"parent": "lan0", "com.docker.network.bridge.enable_icc": "false"},
            InvalidSpec,
            "options.com.docker.network.bridge.enable_icc",
            "has no option",
        ),
    ],
)
def test_bad_options_are_refused_with_their_field(
    lan: World, options: dict[str, str], kind: type[CnmError], field: str, words: str
) -> None:
    error = refusal(lan, kind, options=options)
    assert error.field == field
    assert words in str(error.sentence)
    assert not Network.objects.filter(name="lan").exists()


def test_a_bridge_takes_no_parent_and_a_kernel_without_macvlan_says_so(lan: World) -> None:
    with pytest.raises(InvalidSpec, match="The bridge driver has no option parent"):
        lan.network("app", options={"parent": "lan0"})
    lan.host.facts["features"][0] = {
        "key": "link.macvlan",
        "present": False,
        "detail": "No macvlan.",
        "remedy": "Get it.",
    }
    lan.host.save()
    assert "No macvlan." in str(refusal(lan, Unsupported).sentence)


IPVLAN = LAN | {"driver": "ipvlan"}


def test_ipvlan_is_refused_with_the_kernels_reason_and_needs_a_parent_as_macvlan_does(lan: World) -> None:
    assert refusal(lan, InvalidSpec, driver="ipvlan", options={}).field == "options.parent"
    lan.host.facts["features"].append(
        {"key": "link.ipvlan", "present": False, "detail": "No ipvlan.", "remedy": "Get it."}
    )
    lan.host.save()
    assert str(refusal(lan, Unsupported, driver="ipvlan").sentence) == "No ipvlan."


def test_whoever_is_on_an_ipvlan_has_no_mac_of_its_own(lan: World) -> None:
    row = lan.network("lan", **IPVLAN)
    endpoint = lan.container("c", network="lan").endpoints.get()
    assert (endpoint.ipv4, endpoint.mac) == ("192.0.2.4/29", "")
    shown = represented(prepared(Network).get(pk=row.pk))
    assert (shown["mtu"], shown["endpoints"][0]["mac"]) == (1400, "")
    with pytest.raises(InvalidSpec, match="every container has the MAC of the host's device") as refused:
        lan.container("d", network="lan", mac="02:42:00:00:00:07")
    assert refused.value.field == "mac"


@pytest.mark.parametrize(
    ("option", "value"), [("ipvlan_mode", "l4"), ("ipvlan_flag", "passthru"), ("macvlan_mode", "bridge")]
)
def test_an_ipvlan_has_modes_and_flags_of_its_own(lan: World, option: str, value: str) -> None:
    assert refusal(lan, InvalidSpec, driver="ipvlan", options={"parent": "lan0", option: value}).field == (
        f"options.{option}"
    )


def test_a_device_carries_one_of_the_two_drivers_and_one_mode_of_ipvlan(lan: World) -> None:
    lan.network("first", **IPVLAN)
    beside = {"name": "lan", "subnets": [{"subnet": "198.51.100.0/24"}]}
    for spec, field, words in (
        (LAN, "options.parent", "Network first of the driver ipvlan stands on lan0, which carries one of the two"),
        (
            IPVLAN | {"options": {"parent": "lan0", "ipvlan_mode": "l3"}},
            "options.ipvlan_mode",
            "Network first stands on lan0 with ipvlan_mode l2",
        ),
        (
            IPVLAN | {"options": {"parent": "lan0", "ipvlan_flag": "private"}},
            "options.ipvlan_flag",
            "Network first stands on lan0 with ipvlan_flag bridge",
        ),
    ):
        error = refusal(lan, Conflict, **(spec | {"subnets": beside["subnets"]}))
        assert error.field == field
        assert words in str(error.sentence)
    lan.network("same", **(IPVLAN | {"subnets": beside["subnets"]}))
    other = {"parent": "lan0.7", "ipvlan_mode": "l3"}
    lan.network("other", **(IPVLAN | {"options": other, "subnets": [{"subnet": "203.0.113.0/24"}]}))


@pytest.mark.parametrize("option", [{"ipvlan_mode": "l3"}, {"ipvlan_flag": "private"}])
def test_an_ipvlan_keeps_its_mode_and_its_flag(lan: World, option: dict[str, str]) -> None:
    row = lan.network("lan", **IPVLAN)
    with pytest.raises(Forbidden, match="All that stands on a device has one"):
        update_network(OPERATOR, row, read_changes({"options": option}))


def test_the_mode_changes_in_place_and_the_parent_stays_for_life(lan: World) -> None:
    row = lan.network("lan", **LAN)
    update_network(OPERATOR, row, read_changes({"options": {"macvlan_mode": "private"}}))
    with pytest.raises(Forbidden, match="made anew, on another one than lan0") as refused:
        update_network(OPERATOR, row, read_changes({"options": {"parent": "lan0.7"}}))
    assert refused.value.field == "options.parent"
    row.refresh_from_db()
    assert row.options == {"parent": "lan0", "macvlan_mode": "private"}


def test_ports_are_noted_to_be_of_no_use(lan: World) -> None:
    lan.network("lan", **LAN)
    body = read_container({"name": "c", "network": "lan", "command": ["x"], "ports": ["80:80"]})
    outcome = containers.run_container(OPERATOR, lan.host, body)
    assert [str(warning) for warning in outcome.warnings] == [
        "No network of the container publishes ports: it is reached at its own address, by all of its ports."
    ]


@pytest.mark.parametrize("driver", ["host", "null"])
def test_there_is_one_network_of_the_drivers_that_attach_nothing(world: World, driver: str) -> None:
    with pytest.raises(Forbidden, match=f"Only one network of the driver {driver} is allowed"):
        world.network("another", driver=driver)


@pytest.mark.parametrize("mode", ["host", "none"])
def test_what_is_on_host_or_none_is_there_for_life_and_alone(world: World, mode: str) -> None:
    container, own = world.container("c", network=mode), world.network("app")
    other, only = world.container("other"), Network.objects.get(name=mode)
    for network, who, words in (
        (own, container, f"Container c cannot be connected to network app: {mode} excludes other networks."),
        (only, other, f"Container other cannot be connected to network {mode}: {mode} excludes other networks."),
    ):
        with pytest.raises(Conflict) as refused:
            networks.connect(OPERATOR, network, who, AttachRequest(network=network.name))
        assert str(refused.value.sentence) == words
    with pytest.raises(Conflict, match=f"cannot be disconnected from network {mode}: it has it for life"):
        networks.disconnect(OPERATOR, only, container)
    with pytest.raises(Conflict, match=f"publishes no ports: it is in network mode {mode}"):
        ports.publish(OPERATOR, container, [PortRequest(container_port=80, host_port=8080)])
    assert not Container.objects.get(name="c").endpoints.exists()


@pytest.mark.parametrize("mode", ["host", "none"])
@pytest.mark.parametrize(
    ("field", "value"), [("ipv4", "10.0.0.5"), ("ipv6", "fd00::5"), ("aliases", ["db"]), ("networks", ["bridge"])]
)
def test_what_only_an_endpoint_has_is_refused_on_host_and_none(mode: str, field: str, value: object) -> None:
    with pytest.raises(InvalidSpec, match=f"Conflicting options: .* and network {mode}") as refused:
        read_container({"name": "c", "command": ["x"], "network": mode, field: value})
    assert refused.value.field == field


def test_a_container_of_its_own_sandbox_publishes_at_its_home(world: World) -> None:
    world.container("home")
    beside = world.container("beside", network="container:home")
    with pytest.raises(Conflict, match="publishes no ports: it is in network mode container:"):
        ports.publish(OPERATOR, beside, [PortRequest(container_port=80, host_address=ip_address("127.0.0.1"))])
