"""What is ours of a host's IPsec, where the kernel tells keys and where it is locked down."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from networks.cnm.associations import PEER_PRIORITY, REQID, REST_PRIORITY, fingerprint
from networks.cnm.resources import XfrmPolicy, XfrmState
from worker.kernel import xfrm
from worker.kernel.xfrm import Policy, Selector
from worker.observe.xfrm import XfrmObserver

HERE, THERE = ip_address("192.0.2.1"), ip_address("192.0.2.9")
FLOW = Selector.between(HERE, THERE, 4790)
ANYBODY = Selector(ip_network("0.0.0.0/0"), ip_network("0.0.0.0/0"), 4790)
KEY = bytes(range(36))


class Told:
    """A kernel that answers with what it was told: a dump has the messages that made what it lists."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = messages

    def dump(self, request: bytes) -> list[memoryview]:
        made = {xfrm.XFRM_MSG_GETSA: xfrm.XFRM_MSG_NEWSA, xfrm.XFRM_MSG_GETPOLICY: xfrm.XFRM_MSG_NEWPOLICY}[request[4]]
        return [memoryview(message) for message in self.messages if message[4] == made]


def observer(*messages: bytes) -> XfrmObserver:
    told: Any = Told(*messages)
    return XfrmObserver(told)


def test_what_carries_our_mark_is_ours() -> None:
    seen = observer(
        xfrm.add_state(FLOW, 0x101, REQID, KEY),
        xfrm.add_state(FLOW, 0x102, 1, KEY),
        xfrm.set_policy(Policy("out", FLOW, PEER_PRIORITY, False, 0x101, REQID)),
        xfrm.set_policy(Policy("out", FLOW, PEER_PRIORITY, False, 0x102, 1)),
        xfrm.set_policy(Policy("out", ANYBODY, REST_PRIORITY, True)),
        xfrm.set_policy(Policy("in", ANYBODY, 7, True)),
    )
    state = XfrmState(source=HERE, destination=THERE, spi=0x101, port=4790, fingerprint=fingerprint(KEY))
    peer = XfrmPolicy(
        direction="out",
        source=FLOW.source,
        destination=FLOW.destination,
        port=4790,
        priority=PEER_PRIORITY,
        spi=0x101,
    )
    rest = XfrmPolicy(
        direction="out",
        source=ANYBODY.source,
        destination=ANYBODY.destination,
        port=4790,
        priority=REST_PRIORITY,
        block=True,
    )
    assert seen.observe(None) == [state, peer, rest]
    assert seen.observe({rest.key, ("xfrm-state", "192.0.2.9", "7")}) == [rest]
    assert seen.observe(set()) == []
    assert XfrmObserver(None).observe(None) == [], "a kernel without IPsec has none"


def test_another_key_under_our_number_is_seen() -> None:
    (found,) = observer(xfrm.add_state(FLOW, 0x101, REQID, bytes(reversed(KEY)))).observe(None)
    assert isinstance(found, XfrmState)
    assert found.fingerprint not in {"", fingerprint(KEY)}


def test_a_kernel_that_tells_no_keys_is_believed_to_hold_what_was_written() -> None:
    locked = observer(xfrm.add_state(FLOW, 0x101, REQID, bytes(36)))
    assert [item.spec()["fingerprint"] for item in locked.observe(None)] == [""]
    locked.written["192.0.2.9", 0x101] = fingerprint(KEY)
    assert [item.spec()["fingerprint"] for item in locked.observe(None)] == [fingerprint(KEY)]
