"""What an encrypted network compiles to: associations, policies and rules; and how they change while keys are exchanged."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from networks.cnm.associations import incoming, outgoing, spi_of
from networks.cnm.desired import Association, Container, Host, HostSettings, RemoteEndpoint
from networks.cnm.resources import Bridge, Resource, Vxlan, XfrmPolicy, XfrmState
from networks.cnm.rules import Rule
from networks.cnm.underlay import encrypted_room
from tests.unit import test_compile_overlay as lab
from tests.unit.test_compile_overlay import FACTS, GATEWAY, container, of_kind, remote
from worker.compile import compile_host
from worker.diff import diff
from worker.order import stage
from worker.scope import Scope

APP = replace(lab.APP, options=replace(lab.APP.options, encrypted=True))
SEALED = "a sealed key that nobody prints"


def host(*containers: Container, remotes: tuple[RemoteEndpoint, ...] = (), **fields: object) -> Host:
    return Host(id="one", networks=(APP, GATEWAY), containers=containers, remotes=remotes, **fields)  # type: ignore[arg-type]


def association(number: int, sender: str, receiver: str, **fields: bool) -> Association:
    return Association(
        id=number, sender=sender, receiver=receiver, fingerprint=f"print-{number}", sealed=SEALED, **fields
    )


def made(*associations: Association, **fields: object) -> tuple[Resource, ...]:
    return compile_host(host(container(5), remotes=(remote(9),), associations=associations, **fields), FACTS)


def said(resources: tuple[Resource, ...], kind: type[Resource]) -> list[str]:
    return [item.describe() for item in of_kind(resources, kind)]


def test_without_a_key_nothing_leaves_and_nothing_is_taken_in_the_clear() -> None:
    found = made()
    assert said(found, XfrmPolicy) == [
        "xfrm policy dir in src 0.0.0.0/0 dst 0.0.0.0/0 udp 4790: esp",
        "xfrm policy dir out src 0.0.0.0/0 dst 0.0.0.0/0 udp 4790: block",
    ]
    assert said(found, XfrmState) == []
    (device,) = of_kind(found, Vxlan)
    assert isinstance(device, Vxlan)
    assert device.port == 4790
    rules = [item for item in of_kind(found, Rule) if isinstance(item, Rule) and "policy" in item.text]
    tag = "--comment cnm:hst:one" if '"' not in rules[0].text else '--comment "cnm:hst:one"'
    assert [item.text for item in rules] == [
        f"-A INPUT -p udp -m udp --dport 4790 -m policy --dir in --pol none -m comment {tag} -j DROP",
        f"-A OUTPUT -p udp -m udp --dport 4790 -m policy --dir out --pol none -m comment {tag} -j DROP",
    ]
    assert all("4790" in str(item.why) for item in rules)


def test_a_host_that_has_nobody_there_and_a_network_in_the_clear_need_none_of_it() -> None:
    for one in (
        compile_host(host(remotes=(remote(9),)), FACTS),
        compile_host(lab.host(container(5), remotes=(remote(9),)), FACTS),
    ):
        assert not of_kind(one, XfrmPolicy)
        assert "policy" not in str([item.describe() for item in of_kind(one, Rule)])


def test_two_networks_share_what_encrypts_them() -> None:
    more = replace(APP, id=lab.identity(3), name="db", activation=3, vni=4097)
    on_both = container(5)
    on_both = replace(
        on_both, endpoints=(*on_both.endpoints, replace(on_both.endpoints[0], id=lab.identity(77), network_id=more.id))
    )
    pair = (association(8, "one", "two"), association(7, "two", "one"))
    one = host(container(5), remotes=(remote(9),), associations=pair)
    both = replace(
        one,
        networks=(APP, GATEWAY, more),
        containers=(on_both,),
        remotes=(remote(9), replace(remote(10), network_id=more.id)),
    )
    kinds = (XfrmPolicy, XfrmState)
    alone, shared = compile_host(one, FACTS), compile_host(both, FACTS)
    for kind in kinds:
        assert of_kind(alone, kind) == of_kind(shared, kind)
    texts = [item.text for item in of_kind(shared, Rule) if isinstance(item, Rule) and "policy" in item.text]
    assert len(texts) == len(set(texts)) == 2


def test_a_pair_of_hosts_sends_by_one_and_takes_the_other() -> None:
    found = made(association(8, "one", "two"), association(7, "two", "one"), association(9, "two", "three"))
    assert said(found, XfrmState) == [
        "xfrm state src 192.0.2.2 dst 192.0.2.9 proto esp spi 0x00000108 udp 4790",
        "xfrm state src 192.0.2.9 dst 192.0.2.2 proto esp spi 0x00000107 udp 4790",
    ]
    assert said(found, XfrmPolicy)[2:] == [
        "xfrm policy dir out src 192.0.2.2/32 dst 192.0.2.9/32 udp 4790: esp spi 0x00000108"
    ]
    assert all("two" in str(item.why) for item in of_kind(found, XfrmState))
    assert SEALED not in str([(item.to_json(), item.spec(), repr(item)) for item in found])


PHASES = [
    ("offered", {}, ([7], 7), [7, 8]),
    ("held", {"held": True}, ([7, 8], 8), [7, 8]),
    ("used", {"held": True, "begun": True, "used": True}, ([8], 8), [8]),
]


@pytest.mark.parametrize(("name", "flags", "sender", "receiver"), PHASES)
def test_a_new_key_is_taken_in_then_sent_by_then_alone(
    name: str, flags: dict[str, bool], sender: tuple[list[int], int], receiver: list[int]
) -> None:
    old = association(7, "one", "two", held=True, begun=True, used=True)
    pair = (old, association(8, "one", "two", **flags))
    kept, sending = outgoing(pair)
    assert sending is not None
    assert ([one.id for one in kept], sending.id) == sender, name
    assert [one.id for one in incoming(pair)] == receiver, name
    found = of_kind(made(*pair), XfrmState)
    assert [item.spi for item in found if isinstance(item, XfrmState)] == [spi_of(number) for number in sender[0]]


def test_a_switch_is_one_policy_after_its_state_and_the_old_one_stays() -> None:
    old = association(7, "one", "two", held=True, begun=True, used=True)
    back = association(3, "two", "one", held=True)
    before = made(old, association(8, "one", "two"), back)
    after = made(old, association(8, "one", "two", held=True), back)
    plan = diff(after, before)
    assert [(step.kind, str(step.action)) for step in plan] == [("xfrm-state", "create"), ("xfrm-policy", "change")]
    assert stage(plan.steps[0]) < stage(plan.steps[1])
    gone = diff(made(association(8, "one", "two", held=True, begun=True, used=True), back), after)
    assert [(step.kind, str(step.action)) for step in gone] == [("xfrm-state", "delete")]


def test_what_other_hosts_did_covers_what_encrypts() -> None:
    before, after = made(), made(association(8, "one", "two"), association(7, "two", "one"))
    keys = Scope.from_json({"peers": [APP.id]}).keys(host(container(5)), (*before, *after))
    plan = diff(after, before)
    assert {step.kind for step in plan} == {"xfrm-state", "xfrm-policy"}
    assert {step.key for step in plan} <= keys


def test_what_drops_the_clear_is_there_before_the_device_and_until_it_is_gone() -> None:
    there = made(association(8, "one", "two"), association(7, "two", "one"))
    nothing = compile_host(host(), FACTS)
    kinds = [step.kind for step in diff(there, nothing)]
    assert max(kinds.index("xfrm-policy"), kinds.index("rule")) < kinds.index("vxlan")
    assert kinds.index("xfrm-state") < kinds.index("xfrm-policy")
    kinds = [step.kind for step in diff(nothing, there)]
    assert kinds.index("vxlan") < kinds.index("xfrm-policy") < kinds.index("xfrm-state")


@pytest.mark.parametrize(("mtu", "under", "expected"), [(1500, "192.0.2.2/24", 1416), (1500, "2001:db8::2/64", 1396)])
def test_the_mtu_leaves_room_for_esp(mtu: int, under: str, expected: int) -> None:
    facts = replace(FACTS, addresses=(("eth0", ip_interface(under)),), mtus=(("eth0", mtu),))
    found = compile_host(host(container(5)), facts)
    bridge = next(item for item in of_kind(found, Bridge) if item.owner.id == APP.id)
    assert isinstance(bridge, Bridge)
    assert bridge.mtu == expected


@pytest.mark.parametrize("mtu", range(1400, 1600))
def test_what_fills_the_mtu_fills_the_underlay_and_no_more(mtu: int) -> None:
    def on_the_wire(packet: int) -> int:
        encrypted = -(-(8 + 8 + 14 + packet + 2) // 4) * 4
        return 20 + 8 + 8 + encrypted + 16

    room = encrypted_room(mtu - 50)
    assert on_the_wire(room) <= mtu < on_the_wire(room + 1)


def test_a_host_without_an_underlay_sends_nothing_in_the_clear_by_any_family() -> None:
    found = compile_host(host(container(5), remotes=(remote(9),)), replace(FACTS, addresses=()))
    assert [item.split(" src ")[1].split("/")[0] for item in said(found, XfrmPolicy)] == ["0.0.0.0"] * 2 + ["::"] * 2


def test_where_no_rules_are_written_the_policies_hold_alone() -> None:
    found = made(settings=HostSettings(iptables=False))
    assert len(of_kind(found, XfrmPolicy)) == 2
    assert not of_kind(found, Rule)
