"""What we say to the kernel's IPsec is what ``ip xfrm`` says, byte for byte; and what it answers is read as it was said.

This kernel has policies and no ESP: it refuses the states, after it was sent them. ``tests/vm`` has a kernel that takes them.
"""

from __future__ import annotations

import re
import subprocess
from ipaddress import ip_address, ip_network

import pytest

from tests.testlib.bottle import inside
from worker.kernel import xfrm
from worker.kernel.netlink import Netlink
from worker.kernel.xfrm import Policy, Selector

pytestmark = pytest.mark.kernel
KEY = bytes(range(36))
REQID = 0x636E6D
PAIRS = (("192.0.2.1", "192.0.2.9"), ("2001:db8::1", "2001:db8::9"))
_SENT = re.compile(r"nlmsg_type=XFRM_MSG_(\w+).*?nlmsg_pid=0\}, \"((?:\\x[0-9a-f]{2})*)\"")


def sent_by_ip(words: str) -> tuple[str, bytes]:
    """(the type, the body) of the message that ``ip xfrm`` sends for *words*."""
    command = ["strace", "-xx", "-s", "4096", "-e", "trace=sendmsg", "ip", "xfrm", *words.split()]
    said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stderr
    found = _SENT.search(said)
    assert found is not None, said
    return found[1], bytes.fromhex(found[2].replace("\\x", ""))


def same(words: str, kind: str, message: bytes) -> None:
    assert (kind, message[16:]) == sent_by_ip(words)
    assert int.from_bytes(message[4:6], "little") == getattr(xfrm, f"XFRM_MSG_{kind}")


@inside
def test_states_are_said_as_ip_says_them() -> None:
    for here, there in PAIRS:
        source, destination = ip_address(here), ip_address(there)
        selector = Selector.between(source, destination, 4790)
        bits = source.max_prefixlen
        same(
            f"state add src {here} dst {there} proto esp spi 0x1ff reqid {REQID} mode transport replay-window 128 flag esn"
            f" aead rfc4106(gcm(aes)) 0x{KEY.hex()} 128"
            f" sel src {here}/{bits} dst {there}/{bits} proto udp dport 4790",
            "NEWSA",
            xfrm.add_state(selector, 0x1FF, REQID, KEY),
        )
        same(
            f"state delete src {here} dst {there} proto esp spi 0x1ff",
            "DELSA",
            xfrm.delete_state(source, destination, 0x1FF),
        )


@inside
def test_policies_are_said_as_ip_says_them() -> None:
    for here, there in PAIRS:
        source, destination = ip_address(here), ip_address(there)
        bits = source.max_prefixlen
        selector = Selector.between(source, destination, 4790)
        flow = f"src {here}/{bits} dst {there}/{bits} proto udp dport 4790"
        template = f"tmpl src {here} dst {there} proto esp spi 0x1ff reqid {REQID} mode transport"
        peer = Policy("out", selector, 3095, False, 0x1FF, REQID)
        same(f"policy add {flow} dir out priority 3095 {template}", "NEWPOLICY", xfrm.set_policy(peer))
        same(f"policy update {flow} dir out priority 3095 {template}", "UPDPOLICY", xfrm.set_policy(peer, replace=True))
        same(f"policy delete {flow} dir out", "DELPOLICY", xfrm.delete_policy("out", selector))
        anybody = ip_network("0.0.0.0/0" if bits == 32 else "::/0")
        rest = Selector(anybody, anybody, 4790)
        flow = f"src {anybody} dst {anybody} proto udp dport 4790"
        demanded = Policy("in", rest, 3096, False, 0, REQID)
        same(
            f"policy add {flow} dir in priority 3096 tmpl src {anybody[0]} dst {anybody[0]} proto esp reqid {REQID} mode transport",
            "NEWPOLICY",
            xfrm.set_policy(demanded),
        )
        refused = Policy("out", rest, 3096, True)
        same(f"policy add {flow} dir out action block priority 3096", "NEWPOLICY", xfrm.set_policy(refused))


@inside
def test_what_the_kernel_tells_of_policies_is_what_it_was_told() -> None:
    with Netlink(xfrm.NETLINK_XFRM) as host:
        policies = []
        for here, there in PAIRS:
            selector = Selector.between(ip_address(here), ip_address(there), 4790)
            anybody = ip_network("0.0.0.0/0" if selector.source.version == 4 else "::/0")
            policies += [
                Policy("out", selector, 3095, False, 0xFFFFFFF0, REQID),
                Policy("in", Selector(anybody, anybody, 4790), 3096, False, 0, REQID),
                Policy("out", Selector(anybody, anybody, 4790), 3096, True),
            ]
        assert {answer.errno for answer in host.exchange([xfrm.set_policy(item) for item in policies])} == {0}
        for words in (
            "src 198.51.100.0/24 dst 203.0.113.0/24 dir out tmpl src 192.0.2.1 dst 192.0.2.9 proto esp mode tunnel",
            "src 198.51.100.0/24 dst 203.0.113.0/24 dir fwd tmpl src 192.0.2.1 dst 192.0.2.9 proto esp mode tunnel",
        ):
            subprocess.run(["ip", "xfrm", "policy", "add", *words.split()], check=True, timeout=20)
        found = [xfrm.read_policy(message) for message in host.dump(xfrm.list_policies())]
        assert found.count(None) == 2, "what others have is not ours to read"
        assert {item for item in found if item is not None} == set(policies)
        gone = host.exchange([xfrm.delete_policy(item.direction, item.selector) for item in policies])
        assert {answer.errno for answer in gone} == {0}
        assert host.dump(xfrm.list_states()) == []


@inside
def test_a_state_is_read_as_it_was_said() -> None:
    """A dump has the message that made it, under the same type."""
    for here, there in PAIRS:
        selector = Selector.between(ip_address(here), ip_address(there), 4790)
        read = xfrm.read_state(memoryview(xfrm.add_state(selector, 0x1FF, REQID, KEY)))
        assert read is not None
        assert (str(read.source), str(read.destination), read.spi, read.reqid) == (here, there, 0x1FF, REQID)
        assert (read.port, read.key) == (4790, KEY)
        assert KEY.hex() not in repr(read)
        assert repr(KEY) not in repr(read)
