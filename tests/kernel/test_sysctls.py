"""Sysctls are set, seen when changed by hand, and given back only while they hold ours."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from networks.cnm.errors import KernelRefused
from networks.cnm.plan import Step
from networks.cnm.resources import Sysctl
from tests.testlib.bottle import inside
from tests.testlib.dump import dump
from worker.apply.sysctls import SysctlsHandler
from worker.diff import diff
from worker.kernel import sysctl

pytestmark = pytest.mark.kernel

FORWARD = "net.ipv4.ip_forward"
FORWARDING = Sysctl(name=FORWARD, value="1")


def take_to(handler: SysctlsHandler, *desired: Sysctl) -> int:
    plan = diff(desired, handler.observe(None))
    done: list[Step] = []
    handler.apply(plan.steps, done.append)
    assert len(done) == len(plan)
    for current in (handler.observe(None), handler.observe({resource.key for resource in desired})):
        assert not diff(desired, current)
    return len(done)


@inside
def test_a_sysctl_is_set_and_given_back() -> None:
    sysctl.write(FORWARD, "0")
    before = dump()
    take_to(SysctlsHandler(), FORWARDING)
    assert sysctl.read(FORWARD) == "1"
    assert take_to(SysctlsHandler(), FORWARDING) == 0
    take_to(SysctlsHandler())
    assert dump() == before
    assert not Path("/run/cnm/ledger/sysctls.json").exists()


@inside
def test_a_value_that_was_there_before_us_stays() -> None:
    sysctl.write(FORWARD, "1")
    take_to(SysctlsHandler(), FORWARDING)
    take_to(SysctlsHandler())
    assert sysctl.read(FORWARD) == "1"


@inside
def test_a_value_that_somebody_else_set_meanwhile_stays() -> None:
    name = "net.ipv4.ip_local_port_range"
    take_to(SysctlsHandler(), Sysctl(name=name, value="40000 50000"))
    sysctl.write(name, "41000 51000")
    handler = SysctlsHandler()
    assert [found.value for found in handler.observe(None)] == ["41000 51000"]  # type: ignore[attr-defined]
    take_to(handler)
    assert sysctl.read(name) == "41000 51000"


@inside
def test_a_change_by_hand_is_mended_and_the_first_value_still_given_back() -> None:
    sysctl.write(FORWARD, "0")
    handler = SysctlsHandler()
    take_to(handler, FORWARDING)
    sysctl.write(FORWARD, "0")
    assert take_to(handler, FORWARDING) == 1
    assert sysctl.read(FORWARD) == "1"
    take_to(handler)
    assert sysctl.read(FORWARD) == "0"


@inside
def test_undoing_a_creation_gives_the_old_value_back() -> None:
    sysctl.write(FORWARD, "0")
    handler = SysctlsHandler()
    plan = diff([FORWARDING], handler.observe(None))
    handler.apply(plan.steps, lambda step: None)
    handler.apply([step.inverse() for step in plan], lambda step: None)
    assert sysctl.read(FORWARD) == "0"
    assert list(handler.observe(None)) == []


@inside
def test_what_the_kernel_does_not_have_or_refuses_is_named() -> None:
    handler = SysctlsHandler()
    for resource, number in (
        (Sysctl(name="net.ipv4.no_such_thing", value="1"), errno.ENOENT),
        (Sysctl(name=FORWARD, value="many"), errno.EINVAL),
    ):
        with pytest.raises(KernelRefused, match=resource.name) as raised:
            handler.apply(diff([resource], ()).steps, lambda step: None)
        assert raised.value.facts == {"errno": number, "key": list(resource.key)}
        assert list(handler.observe(None)) == []


def test_a_name_may_hold_dots_of_an_interface() -> None:
    expected = Path("/proc/sys/net/ipv4/conf/br.100/forwarding")
    assert sysctl.path("net.ipv4.conf.br/100.forwarding") == expected
    assert sysctl.path("net/ipv4/conf/br.100/forwarding") == expected
    assert sysctl.path(sysctl.of_link("ipv4", "br.100", "forwarding")) == expected


@pytest.mark.parametrize("name", ["", "net..ipv4", "net/../kernel/hostname", "/net", "net/./x"])
def test_a_name_does_not_lead_elsewhere(name: str) -> None:
    with pytest.raises(ValueError):
        sysctl.path(name)
