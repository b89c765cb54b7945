"""The difference of two states: nothing between equals, and carried out it gives what was wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks.cnm.plan import Action
from networks.cnm.resources import Address, Bridge, EtcFile, Macvlan, Owner, Resource, Route, Sandbox, Sysctl
from networks.cnm.rules import Chain, Rule, Target
from worker.diff import diff, patch
from worker.order import stage

NAMES = st.sampled_from(["a", "b", "c", "d"])
RESOURCES: st.SearchStrategy[Resource] = st.one_of(
    st.builds(Sysctl, name=NAMES, value=NAMES),
    st.builds(Bridge, name=NAMES, mtu=st.integers(1400, 1402)),
    st.builds(Sandbox, name=NAMES, ipv6=st.booleans()),
    st.builds(
        Address, sandbox=NAMES, device=NAMES, address=st.integers(1, 3).map(lambda n: ip_interface(f"10.0.0.{n}/8"))
    ),
    st.builds(
        Route,
        sandbox=NAMES,
        destination=st.sampled_from([ip_network("0.0.0.0/0"), ip_network("::/0")]),
        gateway=st.integers(1, 3).map(lambda n: ip_address(f"10.0.0.{n}")),
        device=NAMES,
    ),
    st.builds(EtcFile, container_id=NAMES, name=NAMES, content=st.text(max_size=3)),
    st.builds(Chain, family=st.sampled_from([4, 6]), table=st.just("nat"), name=NAMES),
    st.builds(
        Rule,
        family=st.sampled_from([4, 6]),
        table=st.just("nat"),
        chain=NAMES,
        target=NAMES.map(Target),
        rank=st.tuples(st.integers(0, 2)),
        copies=st.integers(1, 2),
    ),
)
STATES = st.lists(RESOURCES, max_size=20, unique_by=lambda resource: resource.key)


@given(STATES)
def test_between_equal_states_there_is_nothing_to_do(state: list[Resource]) -> None:
    assert not diff(state, list(reversed(state)))


@given(STATES, STATES)
def test_carrying_a_difference_out_gives_what_was_wanted(before: list[Resource], after: list[Resource]) -> None:
    found = patch(before, diff(after, before))
    assert {item.key: item for item in found} == {item.key: item for item in after}


@given(STATES, STATES)
def test_undoing_every_step_gives_what_was_there(before: list[Resource], after: list[Resource]) -> None:
    plan = diff(after, before)
    undone = patch(patch(before, plan), type(plan)(tuple(step.inverse() for step in reversed(plan.steps))))
    assert {item.key: item for item in undone} == {item.key: item for item in before}


@given(STATES, STATES)
def test_steps_stand_in_the_order_of_their_stages(before: list[Resource], after: list[Resource]) -> None:
    stages = [stage(step) for step in diff(after, before)]
    assert stages == sorted(stages)


def test_owners_and_reasons_make_no_difference() -> None:
    mine = Bridge(name="br0", owner=Owner(kind="network", id="1"))
    assert not diff([mine], [Bridge(name="br0")])


def test_a_rule_out_of_order_is_a_change() -> None:
    wanted = Rule(family=4, table="nat", chain="A", target=Target("RETURN"), rank=(3,))
    found = Rule(family=4, table="nat", chain="A", target=Target("RETURN"))
    (step,) = diff([wanted], [found])
    assert step.action is Action.CHANGE
    assert step.difference() == {"place": ("out of order", "3")}


def test_two_different_resources_of_one_key_are_refused() -> None:
    both: Sequence[Resource] = (Bridge(name="br0"), Bridge(name="br0", mtu=1400))
    with pytest.raises(ValueError, match="one key"):
        diff(both, ())


def test_what_stood_on_a_device_that_is_made_anew_goes_along() -> None:
    device = Macvlan(sandbox="s", ifname="eth0", parent="lan0", mode="bridge", mac="02:42:ac:1e:00:02")
    address = Address(sandbox="s", device="eth0", address=ip_interface("10.0.0.2/8"))
    beside = [replace(address, device="eth1"), replace(address, sandbox="t")]
    route = Route(sandbox="s", destination=ip_network("::/0"), gateway=ip_address("fd00::1"), device="eth0")
    state = [device, address, *beside, route]
    plan = diff(state, [replace(device, parent="lan1"), *state[1:]])
    assert {step.key for step in plan} == {device.key, address.key, route.key}
    assert {step.key for step in diff(state, [replace(device, mode="private"), *state[1:]])} == {device.key}
