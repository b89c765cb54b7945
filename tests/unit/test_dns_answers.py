"""What the embedded DNS server answers, and to whom. No socket, no kernel."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

import dnslib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.dns.answer import CACHED_ANSWERS, Answers, Ask, reverse_address
from worker.dns.forward import is_answer, outgoing
from worker.dns.packet import read_query
from worker.dns.zone import Record, Sandbox, Zone, usable_servers


def record(
    number: int, name: str, *addresses: str, on: str = "app", aliases: tuple[str, ...] = (), **fields: Any
) -> Record:
    return Record(
        network=f"{on}-id",
        endpoint=f"{on}-{number}",
        network_name=on,
        container=f"{number:012x}",
        names=(name, *aliases, f"{number:012x}"),
        addresses=tuple(map(ip_address, addresses)),
        **fields,
    )


def world(*records: Record, **sandbox: Any) -> Answers:
    zone = Zone()
    for item in records:
        zone.put(item)
    fields = {"networks": ("app-id",), "servers": ("192.0.2.53",)} | sandbox
    served = Sandbox(name="cnm-000000000001", **fields)  # type: ignore[arg-type]
    zone.serve(served)
    return Answers(zone, served)


WEB = record(1, "web", "10.0.0.2", "fd00::2", aliases=("www", "shared"), ports=((80, "tcp"), (9000, "tcp")))
DB = record(2, "db", "10.0.0.3", aliases=("shared",))
OTHER = record(3, "secret", "10.9.0.2", on="other")


def query(name: str, kind: str = "A", **header: Any) -> bytes:
    question = dnslib.DNSRecord.question(name, kind)
    question.header.set_rd(header.get("rd", 1))
    return bytes(question.pack())


def ask(answers: Answers, name: str, kind: str = "A") -> dnslib.DNSRecord:
    reply = answers.answer(query(name, kind))
    assert isinstance(reply, bytes), reply
    return dnslib.DNSRecord.parse(reply)


def said(answers: Answers, name: str, kind: str = "A") -> list[str]:
    found = ask(answers, name, kind)
    assert found.header.rcode == 0
    return sorted(str(item.rdata) for item in found.rr)


@pytest.mark.parametrize(
    "name", ["web", "www", "000000000001", "web.app", "WWW.App", "wEb", "web.", "000000000001.app"]
)
def test_every_name_of_a_neighbour_is_answered_however_it_is_spelled(name: str) -> None:
    assert said(world(WEB, DB), name) == ["10.0.0.2"]


def test_an_answer_repeats_the_question_as_it_was_spelled_and_lives_ten_minutes() -> None:
    found = ask(world(WEB), "wEb")
    assert str(found.q.qname) == "wEb."
    assert (found.rr[0].ttl, str(found.rr[0].rname)) == (600, "wEb.")
    assert (found.header.qr, found.header.ra, found.header.rd, found.header.aa) == (1, 1, 1, 0)


def test_each_family_is_answered_by_its_own_type() -> None:
    assert said(world(WEB), "web", "AAAA") == ["fd00::2"]
    assert said(world(WEB), "web", "ANY") == ["10.0.0.2", "fd00::2"]


@pytest.mark.parametrize("kind", ["AAAA", "MX", "TXT", "HTTPS", "NS", "SRV", "PTR", "CNAME"])
def test_a_known_name_without_what_is_asked_is_answered_with_nothing(kind: str) -> None:
    assert said(world(DB), "db", kind) == []
    assert said(world(DB), "db.app", kind) == []


def test_an_unknown_name_is_for_others_to_answer() -> None:
    for name in ("nobody", "nobody.app", "web.elsewhere", "example.org"):
        assert isinstance(world(WEB).answer(query(name)), Ask), name


def test_names_of_a_network_that_is_not_shared_are_not_known() -> None:
    answers = world(WEB, OTHER)
    assert isinstance(answers.answer(query("secret")), Ask)
    assert isinstance(answers.answer(query("secret.other")), Ask)
    assert isinstance(answers.answer(query("2.0.9.10.in-addr.arpa", "PTR")), Ask)
    assert said(world(WEB, OTHER, networks=("app-id", "other-id")), "secret") == ["10.9.0.2"]


def test_a_shared_alias_has_all_addresses_in_changing_order() -> None:
    crowd = [record(n, f"w{n}", f"10.0.1.{n}", aliases=("shared",)) for n in range(1, 9)]
    answers = world(*crowd)
    orders = {tuple(str(item.rdata) for item in ask(answers, "shared").rr) for _ in range(40)}
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(f"10.0.1.{n}" for n in range(1, 9)))}
    assert len(orders) > 20


def test_the_first_network_that_knows_a_name_answers_and_the_next_fills_in_a_family() -> None:
    here = record(1, "web", "10.0.0.2")
    there = record(2, "web", "10.9.0.9", "fd09::9", on="other")
    answers = world(here, there, networks=("app-id", "other-id"))
    assert said(answers, "web") == ["10.0.0.2"]
    assert said(answers, "web", "AAAA") == ["fd09::9"]
    assert said(answers, "web.other") == ["10.9.0.9"]


def test_a_links_alias_is_known_to_its_container_alone_and_comes_before_names() -> None:
    links = (("store", DB.container), ("web", DB.container))
    assert said(world(WEB, DB, links=links), "store") == ["10.0.0.3"]
    assert said(world(WEB, DB, links=links), "store.app") == ["10.0.0.3"]
    assert said(world(WEB, DB, links=links), "web") == ["10.0.0.3"]
    assert isinstance(world(WEB, DB).answer(query("store")), Ask)
    assert isinstance(world(WEB, links=links).answer(query("store")), Ask), "the source is away"


def test_addresses_have_names() -> None:
    assert said(world(WEB), "2.0.0.10.in-addr.arpa", "PTR") == ["web.app."]
    nibbles = ip_address("fd00::2").reverse_pointer
    assert said(world(WEB), nibbles, "PTR") == ["web.app."]
    assert reverse_address("x.0.0.10.in-addr.arpa") is None
    assert reverse_address("0.0.10.in-addr.arpa") is None


def test_a_name_that_is_too_long_for_dns_has_no_reverse_and_harms_nobody() -> None:
    long = record(1, "n" * 100, "10.0.0.2")
    assert said(world(long), "2.0.0.10.in-addr.arpa", "PTR") == []
    assert said(world(long), "000000000001") == ["10.0.0.2"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_http._tcp.web", ["0 0 80 web.app."]),
        ("_9000._tcp.web", ["0 0 9000 web.app."]),
        ("_9000._tcp.www.app", ["0 0 9000 web.app."]),
        ("_smtp._tcp.web", []),
        ("_80._udp.web", []),
    ],
)
def test_services_are_the_exposed_ports_of_whoever_has_the_name(name: str, expected: list[str]) -> None:
    assert said(world(WEB), name, "SRV") == expected


def test_a_service_of_nobody_we_know_is_for_others_to_answer() -> None:
    assert isinstance(world(WEB).answer(query("_http._tcp.example.org", "SRV")), Ask)


def test_names_come_and_go_with_the_next_question() -> None:
    answers = world(WEB)
    assert said(answers, "web") == ["10.0.0.2"]
    answers.zone.put(record(1, "web", "10.0.0.77"))
    assert said(answers, "web") == ["10.0.0.77"]
    assert isinstance(answers.answer(query("www")), Ask), "an alias that the new record does not have"
    answers.zone.forget(WEB.key)
    assert isinstance(answers.answer(query("web")), Ask)


def test_a_question_that_is_asked_again_gets_the_same_answer_with_its_own_id() -> None:
    answers = world(WEB, DB)
    for kind in ("A", "AAAA", "MX"):
        first, again = query("db", kind), query("db", kind)
        again = bytes([first[0] ^ 1, first[1] ^ 2]) + again[2:]
        before, after = answers.answer(first), answers.answer(again)
        assert isinstance(before, bytes)
        assert after == again[:2] + before[2:]
    assert said(answers, "web") == ["10.0.0.2"]


def test_what_is_asked_in_other_words_is_answered_in_them_each_time() -> None:
    answers = world(WEB)
    for _ in range(2):
        assert str(ask(answers, "wEb").q.qname) == "wEb."
        assert str(ask(answers, "web").q.qname) == "web."
        assert [ask_for.header.rd for ask_for in map(parsed, (answers.answer(query("web", rd=n)) for n in (0, 1)))] == [
            0,
            1,
        ]
        assert [len(parsed(answers.answer(packet)).ar) for packet in (query("web"), with_edns("web", 1400))] == [0, 1]


def test_hostile_questions_do_not_fill_the_memory() -> None:
    answers = world(WEB)
    for number in range(3 * CACHED_ANSWERS):
        label = f"{number:x}".encode()
        padding = struct.pack("!BHHIHHH", 0, 41, 1232, 0, 4 + len(label), 12, len(label)) + label
        assert isinstance(answers.answer(query("web")[:10] + b"\0\1" + query("web")[12:] + padding), bytes)
        assert len(answers._replies) <= CACHED_ANSWERS + 1
    before = len(answers._replies)
    answers.answer(
        query("web")[:10] + b"\0\1" + query("web")[12:] + struct.pack("!BHHIH", 0, 41, 1232, 0, 900) + bytes(900)
    )
    assert len(answers._replies) == before


def parsed(reply: object) -> dnslib.DNSRecord:
    assert isinstance(reply, bytes)
    return dnslib.DNSRecord.parse(reply)


def test_an_internal_sandbox_asks_nobody_else() -> None:
    answers = world(WEB, forwards=False)
    assert ask(answers, "example.org").header.rcode == dnslib.RCODE.SERVFAIL
    assert ask(world(WEB, servers=()), "example.org").header.rcode == dnslib.RCODE.SERVFAIL
    assert said(answers, "web") == ["10.0.0.2"]


def test_with_an_ndots_of_its_own_single_labels_stay() -> None:
    answers = world(WEB, keeps_single_labels=True)
    assert said(answers, "nobody") == []
    assert isinstance(answers.answer(query("nobody.corp")), Ask)


def test_our_own_address_is_never_asked() -> None:
    given_servers = ["127.0.0.11", "::ffff:127.0.0.11", "0.0.0.0", "no address", "192.0.2.1", "192.0.2.1", "127.0.0.1"]
    assert usable_servers(given_servers) == ("192.0.2.1", "127.0.0.1")
    assert len(usable_servers(f"192.0.2.{n}" for n in range(9))) == 3


def crowd(count: int) -> Answers:
    return world(*(record(n, f"w{n}", f"10.0.{n // 256}.{n % 256}", aliases=("all",)) for n in range(count)))


def with_edns(name: str, size: int, *, dnssec: bool = False) -> bytes:
    question = dnslib.DNSRecord.question(name)
    question.add_ar(dnslib.EDNS0(udp_len=size, flags="do" if dnssec else ""))
    return bytes(question.pack())


@pytest.mark.parametrize("size", [0, 512, 1232, 4096])
def test_an_answer_fits_what_its_asker_takes_or_says_that_it_is_cut(size: int) -> None:
    packet = with_edns("all", size) if size else query("all")
    reply = crowd(300).answer(packet)
    assert isinstance(reply, bytes)
    found = dnslib.DNSRecord.parse(reply)
    assert len(reply) <= (size or 512)
    assert found.header.tc == 1
    assert 0 < len(found.rr) < 300
    whole = crowd(300).answer(packet, limited=False)
    assert isinstance(whole, bytes)
    assert len(dnslib.DNSRecord.parse(whole).rr) == 300
    assert dnslib.DNSRecord.parse(whole).header.tc == 0


def test_an_asker_without_edns_gets_none_and_one_with_it_gets_it_back() -> None:
    plain = dnslib.DNSRecord.parse(world(WEB).answer(query("web")))
    spoken = dnslib.DNSRecord.parse(world(WEB).answer(with_edns("web", 1400, dnssec=True)))
    assert plain.ar == []
    assert [(item.rtype, item.rclass, item.ttl & 0x8000) for item in spoken.ar] == [(41, 1232, 0x8000)]


def rcode(packet: bytes) -> int:
    reply = world(WEB).answer(packet)
    assert isinstance(reply, bytes)
    return reply[3] & 0xF


def test_what_is_no_query_of_ours_is_told_so() -> None:
    good = query("web")
    assert rcode(good[:2] + b"\x28\x00" + good[4:]) == dnslib.RCODE.NOTIMP, "an update"
    assert rcode(good[:4] + b"\x00\x02" + good[6:]) == dnslib.RCODE.FORMERR, "two questions"
    assert rcode(good[:12] + b"\xc0\x0c" + good[-4:]) == dnslib.RCODE.FORMERR, "a name that points to itself"
    assert rcode(good[:-1]) == dnslib.RCODE.FORMERR
    chaos = bytes(dnslib.DNSRecord(q=dnslib.DNSQuestion("version.bind", dnslib.QTYPE.TXT, 3)).pack())
    assert rcode(chaos) == dnslib.RCODE.REFUSED


def test_a_version_of_edns_that_nobody_speaks_yet_is_refused_by_its_own_code() -> None:
    packet = bytearray(with_edns("web", 1232))
    packet[-5] = 1  # the version within the OPT record's TTL
    found = dnslib.DNSRecord.parse(world(WEB).answer(bytes(packet)))
    assert (found.ar[0].ttl >> 24) << 4 | found.header.rcode == 16


def test_an_answer_is_never_answered() -> None:
    good = bytearray(query("web"))
    good[2] |= 0x80
    assert world(WEB).answer(bytes(good)) is None
    assert world(WEB).answer(b"") is None
    assert world(WEB).answer(b"x" * 11) is None


def test_what_is_passed_on_has_an_id_of_ours_and_no_extras_of_the_asker() -> None:
    question = dnslib.DNSRecord.question("example.org")
    question.add_ar(dnslib.EDNS0(udp_len=1400, opts=[dnslib.EDNSOption(10, b"cookie12")]))
    packet = bytes(question.pack())
    read = read_query(packet)
    assert read is not None
    sent = {outgoing(read)[:2] for _ in range(50)}
    assert len(sent) > 40
    passed = dnslib.DNSRecord.parse(outgoing(read))
    assert (str(passed.q.qname), passed.ar[0].rclass, passed.ar[0].rdata) == ("example.org.", 1400, [])


def test_an_answer_to_another_question_is_no_answer() -> None:
    read = read_query(query("example.org"))
    assert read is not None
    question = outgoing(read)
    answer = dnslib.DNSRecord.parse(question).reply()
    assert is_answer(question, bytes(answer.pack()))
    for change in ({"id": answer.header.id ^ 1}, {"qr": 0}, {"opcode": 2}):
        wrong = dnslib.DNSRecord.parse(bytes(answer.pack()))
        for name, value in change.items():
            setattr(wrong.header, name, value)
        assert not is_answer(question, bytes(wrong.pack())), change
    other = dnslib.DNSRecord.question("example.com").reply()
    other.header.id = answer.header.id
    assert not is_answer(question, bytes(other.pack()))
    assert not is_answer(question, b"")
    assert not is_answer(question, bytes(answer.pack())[:14])


ANSWERS = world(WEB, DB, links=(("store", DB.container),))
SEEDS = [query("web"), query("example.org", "AAAA"), with_edns("all", 4096), query("2.0.0.10.in-addr.arpa", "PTR")]


def survives(packet: bytes) -> None:
    for limited in (True, False):
        reply = ANSWERS.answer(packet, limited=limited)
        again = ANSWERS.answer(packet, limited=limited)
        assert again == reply or len(dnslib.DNSRecord.parse(again).rr) > 1, "what was kept is what was answered"
        if isinstance(reply, bytes):
            assert reply[:2] == packet[:2]
            assert reply[2] & 0x80
            assert not limited or len(reply) <= max(512, len(packet) + 600)
        elif reply is not None:
            assert outgoing(reply.query)[12:].startswith(reply.query.question)
    is_answer(SEEDS[0], packet)


@given(st.binary(max_size=600))
@settings(max_examples=1500, deadline=None)
def test_random_bytes_harm_nothing(packet: bytes) -> None:
    survives(packet)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=6),
    st.integers(0, 60),
    st.binary(max_size=40),
)
@settings(max_examples=3000, deadline=None)
def test_packets_with_a_few_bytes_changed_cut_or_added_harm_nothing(
    seed: bytes, changes: list[tuple[int, int]], cut: int, tail: bytes
) -> None:
    packet = bytearray(seed)
    for at, value in changes:
        packet[at % len(packet)] = value
    survives(bytes(packet[: len(packet) - cut] if cut % 3 else packet) + tail)


@given(st.integers(0, 3), st.lists(st.binary(min_size=0, max_size=70), max_size=8), st.integers(0, 65535))
@settings(max_examples=1000, deadline=None)
def test_headers_that_promise_more_than_there_is_harm_nothing(extras: int, labels: list[bytes], kind: int) -> None:
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    survives(struct.pack("!6H", 7, 0x0100, 1, 0, 0, extras) + name + struct.pack("!HH", kind, 1) + b"\xc0\x0c" * extras)
