"""Links where others have things of their own: their addresses, bridges and devices are left alone."""

from __future__ import annotations

import os
from ipaddress import ip_interface

import pytest

from networks.cnm.errors import Conflict
from networks.cnm.resources import Address
from tests.testlib.bottle import inside
from tests.testlib.dump import dump
from worker.apply.links import LinksHandler
from worker.diff import diff
from worker.machine import Machine

from .links_lab import (
    BRIDGE,
    NETWORK,
    SANDBOX,
    VETH,
    assert_settled,
    container,
    ip,
    network,
    sh,
    take_to,
)

pytestmark = pytest.mark.kernel


@inside
def test_foreign_addresses_and_routes_are_left_alone() -> None:
    handler = LinksHandler()
    desired = [*network(), *container()]
    take_to(handler, desired)
    sh("ip", "addr", "add", "10.9.9.1/24", "dev", BRIDGE)
    sh("ip", "-n", SANDBOX, "addr", "add", "10.9.9.2/24", "dev", "eth0")
    sh("ip", "-n", SANDBOX, "route", "add", "10.8.0.0/16", "via", "10.9.9.1")
    sh("ip", "link", "add", "br-other", "type", "bridge")
    sh("ip", "netns", "add", "other")
    assert_settled(handler, desired)
    take_to(handler, [])
    assert "br-other" in sh("ip", "link")
    assert os.listdir("/run/netns") == ["other"]


@inside
def test_a_bridge_that_was_there_before_is_kept_and_gets_its_settings_back() -> None:
    sh("ip", "link", "add", "lan0", "type", "bridge")
    sh("ip", "link", "set", "lan0", "mtu", "1300")
    sh("ip", "addr", "add", "192.168.77.1/24", "dev", "lan0")
    before = dump()
    handler = LinksHandler()
    own_address = Address(owner=NETWORK, device="lan0", address=ip_interface("192.168.77.1/24"))
    desired = [*network(name="lan0"), own_address]
    take_to(handler, desired)
    assert ip("link", "show", "dev", "lan0")[0]["mtu"] == 1500
    assert_settled(LinksHandler(), desired)
    take_to(LinksHandler(), [])
    assert dump() == before


@inside
def test_a_device_that_is_no_bridge_is_not_taken_for_one() -> None:
    sh("ip", "link", "add", "lan0", "type", "ifb")
    before = dump()
    handler = LinksHandler()
    with pytest.raises(Conflict, match="not a bridge"):
        take_to(handler, network(name="lan0"))
    assert dump() == before


@inside
def test_a_device_of_somebody_else_with_the_name_of_a_veth_is_neither_taken_nor_deleted() -> None:
    handler = LinksHandler()
    for number, made in enumerate((("veth", "peer", "name", "theirs"), ("bridge",))):
        sh("ip", "link", "add", VETH, "type", *made)
        sh("ip", "link", "set", VETH, "alias", "of a friend")
        index, before = ip("link", "show", "dev", VETH)[0]["ifindex"], dump()
        assert list(handler.observe(None)) == [], "it is not ours, so a full look does not take it away either"
        applied = Machine([handler]).apply(diff([*network(), *container()], handler.observe(None)))
        ((step, error),) = applied.failed
        assert (step.kind, error.code) == ("veth", "conflict")
        assert VETH in str(error)
        assert dump() == before, "the steps before it are undone, and the device stays"
        assert ip("link", "show", "dev", VETH)[0]["ifindex"] == index
        sh("ip", "link", "set", VETH, "name", f"theirs{number}")
    take_to(handler, [*network(), *container()])


@inside
def test_a_veth_of_ours_without_its_alias_is_known_by_its_other_end() -> None:
    handler = LinksHandler()
    desired = [*network(), *container()]
    take_to(handler, desired)
    index = ip("link", "show", "dev", VETH)[0]["ifindex"]
    sh("ip", "link", "set", VETH, "alias", "renamed by hand")
    assert_settled(handler, desired)
    handler.apply(diff(desired, ()).steps, lambda step: None)
    (port,) = ip("link", "show", "dev", VETH)
    assert (port["ifindex"], port["ifalias"]) == (index, "cnm:end:cccccccccccc")
    sh("ip", "link", "set", VETH, "alias", "renamed by hand")
    take_to(handler, network())
    assert VETH not in sh("ip", "link")
