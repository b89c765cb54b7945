"""Names that nobody here has: who is asked about them, from where, and what is made of the answers."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress

import dnslib
import pytest

from tests.testlib.bottle import inside as in_bottle

from .dns_lab import (
    Upstream,
    address_answer,
    dig,
    dns,
    inside,
    namespaces,
    record,
    run,
    sandbox,
    sandbox_name,
    socket_inside,
    status,
    until,
)

pytestmark = pytest.mark.kernel

WEB = record(1, "web", "10.0.0.2")


def silent(query: dnslib.DNSRecord) -> None:
    return None


def failing(code: str):  # type: ignore[no-untyped-def]
    def answer(query: dnslib.DNSRecord) -> dnslib.DNSRecord:
        reply = query.reply()
        reply.header.rcode = getattr(dnslib.RCODE, code)
        return reply

    return answer


def question(name: str, number: int = 7) -> bytes:
    made = dnslib.DNSRecord.question(name)
    made.header.id = number
    return bytes(made.pack())


@in_bottle
def test_the_hosts_server_is_asked_from_the_host_even_on_its_loopback() -> None:
    upstream = Upstream("127.0.0.53", address_answer("198.51.100.1"))
    with dns() as made:
        made.make(sandbox(servers=("127.0.0.53",)), WEB)
        assert dig(1, "Example.ORG") == ["198.51.100.1"]
        assert "Example.ORG." in inside(1, "dig", "Example.ORG")
        assert dig(1, "web") == ["10.0.0.2"]
        assert upstream.names == ["Example.ORG."] * 2


@in_bottle
def test_a_server_that_a_person_chose_is_asked_from_inside_the_sandbox() -> None:
    run("ip", "address", "add", "10.0.0.99/32", "dev", "lo")
    outside = Upstream("10.0.0.99", address_answer("198.51.100.1"))
    with dns() as made:
        served = sandbox(servers=("10.0.0.99",), inside=True)
        within = Upstream("10.0.0.99", address_answer("198.51.100.2"), f"/run/netns/{sandbox_name(1)}")
        made.make(served, WEB)
        assert dig(1, "example.org") == ["198.51.100.2"]
        assert dig(1, "+tcp", "example.net") == ["198.51.100.2"]
        assert within.names == ["example.org.", "example.net."]
        assert outside.names == []


@in_bottle
def test_nothing_that_is_asked_about_a_known_name_leaks() -> None:
    upstream = Upstream("127.0.0.53", address_answer("198.51.100.1"))
    with dns() as made:
        made.make(sandbox(servers=("127.0.0.53",)), WEB)
        for kind in ("A", "AAAA", "MX", "TXT", "SRV", "HTTPS", "ANY", "SOA"):
            for name in ("web", "WEB.app"):
                assert status(1, name, kind) == "NOERROR"
        inside(1, "getent", "ahosts", "web")
        assert upstream.names == []


@in_bottle
def test_a_silent_server_is_passed_over_and_asked_last_for_a_while() -> None:
    first, second = Upstream("127.0.0.51", silent), Upstream("127.0.0.52", address_answer("198.51.100.2"))
    with dns() as made:
        made.make(sandbox(servers=("127.0.0.51", "127.0.0.52")))
        assert dig(1, "one.example") == ["198.51.100.2"]
        assert dig(1, "two.example") == ["198.51.100.2"]
        assert first.names == ["one.example."]
        assert second.names == ["one.example.", "two.example."]


@in_bottle
def test_a_server_that_is_not_there_or_refuses_is_passed_over() -> None:
    Upstream("127.0.0.51", failing("SERVFAIL"))
    Upstream("127.0.0.52", failing("REFUSED"))
    Upstream("127.0.0.53", address_answer("198.51.100.3"))
    with dns() as made:
        made.make(sandbox(servers=("127.0.0.51", "127.0.0.52", "127.0.0.53")))
        assert dig(1, "one.example") == ["198.51.100.3"]
        made.make(sandbox(2, servers=("127.0.0.50", "127.0.0.53")))
        assert dig(2, "two.example") == ["198.51.100.3"]
        assert dig(2, "+tcp", "three.example") == ["198.51.100.3"]
        made.make(sandbox(3, servers=("127.0.0.51",)))
        assert status(3, "four.example") == "SERVFAIL"
        made.make(sandbox(4, servers=("127.0.0.50",)))
        assert status(4, "five.example") == "SERVFAIL"


@in_bottle
def test_that_a_name_does_not_exist_is_an_answer() -> None:
    Upstream("127.0.0.51", failing("NXDOMAIN"))
    second = Upstream("127.0.0.52", address_answer("198.51.100.2"))
    with dns() as made:
        made.make(sandbox(servers=("127.0.0.51", "127.0.0.52")))
        assert status(1, "nobody.example") == "NXDOMAIN"
        assert second.names == []


@in_bottle
def test_an_internal_sandbox_and_one_that_names_ourselves_ask_nobody() -> None:
    upstream = Upstream("127.0.0.53", address_answer("198.51.100.1"))
    with dns() as made:
        made.make(sandbox(1, servers=("127.0.0.53",), forwards=False), WEB)
        made.make(sandbox(2, servers=("127.0.0.11",), inside=True))
        assert status(1, "example.org") == "SERVFAIL"
        assert dig(1, "web") == ["10.0.0.2"]
        assert status(2, "example.org") == "SERVFAIL"
        assert upstream.names == []


@in_bottle
def test_forged_answers_are_passed_over() -> None:
    def forged_first(query: dnslib.DNSRecord) -> list[bytes]:
        good = address_answer("198.51.100.1")(query)
        lie = address_answer("203.0.113.66")(query)
        other = address_answer("203.0.113.66")(dnslib.DNSRecord.question("other.example"))
        other.header.id = query.header.id  # type: ignore[union-attr]
        packed = bytes(lie.pack())  # type: ignore[union-attr]
        wrong_id = struct.pack("!H", query.header.id ^ 0x0101) + packed[2:]
        no_answer = packed[:2] + bytes([packed[2] & 0x7F]) + packed[3:]
        return [wrong_id, no_answer, bytes(other.pack()), b"", b"\0", bytes(good.pack())]  # type: ignore[union-attr]

    upstream = Upstream("127.0.0.53", forged_first)
    with dns() as made:
        made.make(sandbox(servers=("127.0.0.53",)))
        for number in range(40):
            assert dig(1, f"n{number}.example") == ["198.51.100.1"]
        assert len({query.header.id for query in upstream.asked}) > 35
        assert len(set(upstream.ports)) > 30


@in_bottle
def test_an_answer_that_is_cut_is_fetched_whole_by_tcp() -> None:
    def long(query: dnslib.DNSRecord) -> dnslib.DNSRecord:
        reply = query.reply()
        for number in range(200):
            reply.add_answer(dnslib.RR(query.q.qname, dnslib.QTYPE.A, rdata=dnslib.A(f"198.51.100.{number}")))
        return reply

    def by_udp_cut(query: dnslib.DNSRecord) -> dnslib.DNSRecord:
        by_tcp = len(upstream.asked) > len(upstream.ports)
        reply = long(query) if by_tcp else query.reply()
        reply.header.tc = not by_tcp
        return reply

    upstream = Upstream("127.0.0.53", by_udp_cut)
    with dns() as made:
        made.make(sandbox(servers=("127.0.0.53",)))
        assert len(dig(1, "long.example")) == 200
        upstream.answer = long  # a server that sends more than was asked for
        assert "flags: qr tc" in inside(1, "dig", "+ignore", "+noedns", "long.example")


@in_bottle
def test_the_askers_extras_stay_here_but_for_size_and_dnssec() -> None:
    upstream = Upstream("127.0.0.53", address_answer("198.51.100.1"))
    with dns() as made:
        made.make(sandbox(servers=("127.0.0.53",)))
        dig(1, "+subnet=10.0.0.0/8", "+cookie=0123456789abcdef", "+dnssec", "+bufsize=1400", "one.example")
        dig(1, "+noedns", "two.example")
        first, second = upstream.asked
        assert [(item.rtype, item.rclass, bool(item.ttl & 0x8000), item.rdata) for item in first.ar] == [
            (41, 1400, True, [])
        ]
        assert second.ar == []


@in_bottle
def test_a_sandbox_that_floods_a_silent_server_harms_no_other() -> None:
    flooded = Upstream("127.0.0.51", silent)
    Upstream("127.0.0.53", address_answer("198.51.100.1"))
    with dns() as made:
        made.make(sandbox(1, servers=("127.0.0.51",)), sandbox(2, servers=("127.0.0.53",)), WEB)
        assert dig(2, "warm.example") == ["198.51.100.1"]
        pid = made.resolver()
        with socket_inside(1) as client:
            client.connect(("127.0.0.11", 53))
            codes: list[int] = []

            def read() -> bool:
                """What has come by now; whether that is all."""
                with suppress(BlockingIOError):
                    while True:
                        codes.append(client.recv(512, socket.MSG_DONTWAIT)[3] & 0xF)
                return len(codes) == 3000

            for number in range(3000):
                client.send(question(f"n{number}.example", number))
                if number % 50 == 49:
                    time.sleep(0.005)
                    read()
                if number % 1000 == 999:
                    assert dig(2, "+time=2", f"good{number}.example") == ["198.51.100.1"]
            until(read)
        assert set(codes) == {dnslib.RCODE.SERVFAIL}, "who cannot be served is told so"
        assert len(flooded.asked) <= 256 * 4
        assert until(lambda: len(run("ls", f"/proc/{pid}/fd").split()) < 40)
        assert made.resolver() == pid


@in_bottle
def test_questions_under_way_do_not_keep_a_sandbox_alive() -> None:
    with dns() as made:
        served = sandbox(servers=("192.0.2.1",), inside=True)
        run("ip", "link", "add", "probe", "type", "veth", "peer", "name", "eth0", "netns", sandbox_name(1))
        run("ip", "-n", sandbox_name(1), "route", "add", "192.0.2.1/32", "dev", "lo")
        made.make(served)
        pid = made.resolver()
        idle = len(run("ls", f"/proc/{pid}/fd").split())
        with socket_inside(1) as client:
            for number in range(50):
                client.sendto(question(f"n{number}.example"), ("127.0.0.11", 53))
            until(lambda: len(run("ls", f"/proc/{pid}/fd").split()) >= idle + 50)
            made.remove(served)
        namespaces().let_go(sandbox_name(1))
        until(lambda: "probe" not in run("ip", "link"))
