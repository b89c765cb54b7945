"""Links when a step fails, a start is cut off, or the worker is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.errors import KernelRefused
from networks.cnm.resources import Address, Resource, Route, Veth
from tests.testlib.bottle import inside
from tests.testlib.dump import dump
from worker.apply.links import LinksHandler
from worker.diff import diff
from worker.kernel import netns, sysctl
from worker.kernel.netlink import Netlink
from worker.machine import Machine

from .links_lab import (
    ENDPOINT,
    SANDBOX,
    VETH,
    assert_settled,
    container,
    ip,
    missing,
    network,
    sh,
    take_to,
)

pytestmark = pytest.mark.kernel


@inside
def test_a_failure_in_the_middle_names_its_step_and_can_be_undone() -> None:
    before = dump()
    handler = LinksHandler()
    impossible = Route(
        owner=ENDPOINT,
        sandbox=SANDBOX,
        destination=ip_network("10.0.0.0/8"),
        gateway=ip_address("192.168.1.1"),
        device="eth0",
    )
    loopback = Address(owner=ENDPOINT, sandbox=SANDBOX, device="eth9", address=ip_interface("10.0.0.1/24"))
    veth = container()[1]
    assert isinstance(veth, Veth)
    small, nowhere = replace(veth, mtu=10), replace(veth, bridge="br-nowhere")
    for bad, cause in ((impossible, "gateway"), (loopback, "eth9"), (small, "mtu"), (nowhere, "br-nowhere")):
        desired = {resource.key: resource for resource in [*network(), *container(), *container(number=3), bad]}
        applied = Machine([handler]).apply(diff(desired.values(), handler.observe(None)))
        ((step, error),) = applied.failed
        assert step.key == bad.key
        assert isinstance(error, KernelRefused)
        assert cause in str(error)
        assert applied.left == []
        assert dump() == before


@inside
def test_a_full_pass_goes_on_with_the_other_sandboxes() -> None:
    handler = LinksHandler()
    good, bad = container(), list(container(number=3))
    assert isinstance(bad[1], Veth)
    bad[1] = replace(bad[1], mtu=10)
    desired = [network()[0], good[0], bad[0], *network()[1:], *bad[1:], *good[1:]]
    applied = Machine([handler]).apply_what_can_be(diff(desired, ()), lambda owner: owner.name)
    assert [step.key for step, _ in applied.failed] == [bad[1].key]
    sh("ip", "netns", "exec", SANDBOX, "busybox", "ping", "-c1", "-W5", "172.30.0.1")


@inside
def test_what_an_interrupted_start_left_is_seen_and_mended() -> None:
    handler = LinksHandler()
    take_to(handler, network())
    Path(f"/run/netns/{SANDBOX}").touch()  # the name was made, the namespace not
    desired = [*network(), *container()]
    assert missing(handler, desired) == {"change sandbox", "create veth", "create address", "create route"}
    take_to(handler, desired)
    Path("/run/netns/cnm-eeeeeeeeeeee").touch()
    take_to(handler, desired)
    assert os.listdir("/run/netns") == [SANDBOX]


def killed_at(moment: int, desired: Sequence[Resource]) -> bool:
    """Take the host to *desired* in a process that is killed before its call number *moment* into the kernel; whether it was."""
    child = os.fork()
    if child == 0:
        calls = count(1)

        def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                if next(calls) == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return wrapped

        for module, name in ((Netlink, "_exchange"), (netns, "unshare"), (netns, "mount"), (sysctl, "write")):
            setattr(module, name, deadly(getattr(module, name)))
        handler = LinksHandler()
        handler.apply(diff(desired, handler.observe(None)).steps, lambda step: None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


@inside
def test_a_worker_killed_at_any_moment_leaves_nothing_that_the_next_cannot_mend() -> None:
    before = dump()
    desired = [*network(ipv6=True), *container(ipv6=True), *container(number=3)]
    for wanted in (desired, []):
        moment = 1
        while killed_at(moment, wanted):
            take_to(LinksHandler(), wanted)
            if wanted:
                sh("ip", "netns", "exec", SANDBOX, "busybox", "ping", "-c1", "-W5", "fd00:30::1")
            take_to(LinksHandler(), [] if wanted else desired)
            moment += 1
        assert moment > 5
        take_to(LinksHandler(), desired)
    take_to(LinksHandler(), [])
    assert dump() == before


@inside
def test_applying_the_same_steps_again_changes_nothing() -> None:
    handler = LinksHandler()
    desired = [*network(ipv6=True), *container(ipv6=True)]
    plan = diff(desired, ())
    handler.apply(plan.steps, lambda step: None)
    index = ip("link", "show", "dev", VETH)[0]["ifindex"]
    handler.apply(plan.steps, lambda step: None)
    assert ip("link", "show", "dev", VETH)[0]["ifindex"] == index
    assert_settled(handler, desired)
    removal = [step.inverse() for step in plan]
    handler.apply(removal, lambda step: None)
    handler.apply(removal, lambda step: None)
    assert list(handler.observe(None)) == []
