"""Links handed to somebody else, in a real kernel: as asked, mended, no drift once taken, and without a trace afterwards."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from networks.cnm.errors import Conflict, KernelRefused
from networks.cnm.resources import HandedVeth, Owner
from tests.testlib.bottle import inside
from tests.testlib.dump import dump
from worker.apply.handed import HandedHandler
from worker.apply.links import LinksHandler
from worker.diff import diff

from .links_lab import BRIDGE, container, ip, missing, network, sh, take_to

pytestmark = pytest.mark.kernel

OWNER = Owner(kind="endpoint", id="d" * 64, name="api on web")
LINK = HandedVeth(
    owner=OWNER, name="cvdddddddddddd", bridge=BRIDGE, inner="cidddddddddddd", mac="02:42:ac:1e:00:09", mtu=1400
)


def take(handler: HandedHandler, *wanted: HandedVeth) -> None:
    """Bring the host to *wanted*, of all handed links that there are."""
    done: list[object] = []
    plan = diff(wanted, handler.observe(None))
    handler.apply(plan.steps, done.append)
    assert len(done) == len(plan.steps)


def moved() -> None:
    """What an engine does with the other end."""
    sh("ip", "netns", "add", "theirs")
    sh("ip", "link", "set", LINK.inner, "netns", "theirs", "name", "eth0")
    sh("ip", "-n", "theirs", "addr", "add", "172.30.0.9/16", "dev", "eth0")
    sh("ip", "-n", "theirs", "link", "set", "eth0", "up")


@inside
def test_a_link_stands_on_the_host_until_it_is_taken_and_then_is_no_drift() -> None:
    links, handler = LinksHandler(), HandedHandler()
    before = dump()
    take_to(links, network(mtu=1400))
    take(handler, LINK)
    inner = ip("link", "show", LINK.inner)[0]
    assert (inner["address"], inner["operstate"]) == (LINK.mac, "DOWN")
    assert not diff([LINK], handler.observe({LINK.key}))
    assert list(links.observe({("veth", LINK.name)})) == []  # it is none of a sandbox of ours
    moved()
    assert not diff([LINK], handler.observe(None))
    sh("ping", "-c1", "-W2", "172.30.0.9")
    sh("ip", "link", "set", LINK.name, "nomaster")
    assert [step.action.name for step in diff([LINK], handler.observe(None))] == ["CHANGE"]
    take(handler, LINK)
    sh("ping", "-c1", "-W2", "172.30.0.9")
    take(handler)
    sh("ip", "netns", "del", "theirs")
    take_to(links, [])
    assert dump() == before


@inside
def test_our_own_containers_links_and_handed_ones_do_not_meet() -> None:
    links, handler = LinksHandler(), HandedHandler()
    wanted = network(mtu=1400) + container(mtu=1400)
    take_to(links, wanted)
    take(handler, LINK)
    moved()
    assert missing(links, wanted) == set()
    assert [one.name for one in handler.observe(None)] == [LINK.name]
    assert not diff(wanted, links.observe(None))


@inside
def test_a_device_of_somebody_else_is_left_alone_and_a_missing_bridge_is_said() -> None:
    handler = HandedHandler()
    with pytest.raises(KernelRefused, match="there is no bridge"):
        take(handler, LINK)
    take_to(LinksHandler(), network(mtu=1400))
    sh("ip", "link", "add", LINK.name, "type", "bridge")
    with pytest.raises(Conflict, match=LINK.name):
        take(handler, LINK)
    assert not handler.observe(None)
    sh("ip", "link", "del", LINK.name)
    sh("ip", "link", "add", LINK.inner, "type", "bridge")
    with pytest.raises(KernelRefused):
        take(handler, LINK)
    assert not ip("link", "show", "type", "veth")


@inside
def test_the_end_of_their_sandbox_ends_the_link_and_another_takes_its_place() -> None:
    handler = HandedHandler()
    take_to(LinksHandler(), network(mtu=1400))
    take(handler, replace(LINK, hairpin=True))
    moved()
    sh("ip", "netns", "del", "theirs")
    deadline = time.monotonic() + 20
    while handler.observe(None):  # a namespace that was deleted lets its links go a moment later
        assert time.monotonic() < deadline
        time.sleep(0.01)
    take(handler, LINK)
    assert ip("link", "show", LINK.inner)
