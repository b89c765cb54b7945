"""Answering: what a packet from a sandbox gets back, or that somebody else must be asked. Pure but for the dice.

A known name never leaks: whatever is asked about it is answered here, if need be with nothing.
"""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import dnslib
from dnslib.label import DNSBuffer, DNSLabel, DNSLabelError

from networks.cnm.addresses import AnyAddress

from . import packet as wire
from .packet import Malformed, Query
from .zone import Record, Sandbox, Zone

TTL_S = 600
"""As Docker says. Nothing in a container caches by it but its own programs."""
CACHED_ANSWERS = 4096
"""Of one sandbox; then all are forgotten."""
LONGEST_KEPT = 128
"""Questions of up to so many bytes are kept as they are, with their replies. Those of resolvers are half as long; a hostile one
must not fill the memory."""
_ID_BYTES = 2
_FIXED = struct.Struct("!HHHIH")
_TO_QUESTION = 0xC00C
"""A pointer to the question's name (RFC 1035 section 4.1.4): it always stands right after the header."""
_ADDRESS_TYPES = {wire.A: 4, wire.AAAA: 6}


@dataclass(frozen=True, slots=True)
class Ask:
    """Nobody here has that name: the sandbox's servers are to be asked."""

    query: Query


class Answers:
    """Answers the packets of one sandbox. What was answered is kept, encoded, until anything changes; and whole replies too, by
    all of their question but its id: programs ask the same in the same words, and reading a question costs more than an answer."""

    def __init__(self, zone: Zone, sandbox: Sandbox) -> None:
        self.zone = zone
        self.sandbox = sandbox
        self._version = -1
        self._known: dict[tuple[bytes, int], tuple[bytes, ...] | None] = {}
        self._replies: dict[bytes, bytes] = {}
        self._dice = random.Random()  # noqa: S311  # the order of answers is no secret

    def answer(self, packet: bytes, *, limited: bool = True) -> bytes | Ask | None:
        """The reply to *packet*; None: it gets none. *limited*: by UDP, so it must fit what the asker takes."""
        if self._version != self.zone.version or max(len(self._known), len(self._replies)) > CACHED_ANSWERS:
            self._forget()
        if limited and (rest := self._replies.get(packet[_ID_BYTES:])) is not None:
            return packet[:_ID_BYTES] + rest
        try:
            query = wire.read_query(packet)
        except Malformed as error:
            return wire.refusal(packet, error.rcode)
        if query is None:
            return None
        if query.qclass not in {wire.IN, wire.ANY}:
            return wire.reply(query, rcode=wire.REFUSED)
        key = (query.name, query.qtype)
        try:
            records = self._known[key]
        except KeyError:
            records = self._known[key] = self._find(query)
        if records is None:
            return self._elsewhere(query)
        reply = self._reply(query, records, limited)
        if limited and len(records) <= 1 and len(packet) <= LONGEST_KEPT:  # several come in another order each time
            self._replies[packet[_ID_BYTES:]] = reply[_ID_BYTES:]
        return reply

    def _forget(self) -> None:
        self._known.clear()
        self._replies.clear()
        self._version = self.zone.version

    def _reply(self, query: Query, records: tuple[bytes, ...], limited: bool) -> bytes:
        if len(records) > 1:
            records = tuple(self._dice.sample(records, len(records)))
        reply = wire.reply(query, b"".join(records), len(records))
        if not limited or len(reply) <= query.limit:
            return reply
        room = query.limit - len(wire.reply(query))
        fitting, used = [], 0
        for record in records:
            used += len(record)
            if used > room:
                break
            fitting.append(record)
        return wire.reply(query, b"".join(fitting), len(fitting), truncated=True)

    def _elsewhere(self, query: Query) -> bytes | Ask:
        if self.sandbox.keeps_single_labels and query.qtype in _ADDRESS_TYPES and "." not in query.text:
            return wire.reply(query)  # the asker goes on with its search list
        if not self.sandbox.forwards or not self.sandbox.servers:
            return wire.reply(query, rcode=wire.SERVFAIL)
        return Ask(query)

    def _find(self, query: Query) -> tuple[bytes, ...] | None:
        """The encoded answer records; None: it is not known here."""
        name = query.text
        if query.qtype == wire.PTR:
            address = reverse_address(name)
            record = self.zone.at(self.sandbox, address) if address is not None else None
            if record is not None:
                return tuple(_pointer(record))
        found = self.zone.find(self.sandbox, name)
        if found:
            return tuple(_addresses(found, query.qtype))
        return self._services(name, query.qtype)

    def _services(self, name: str, qtype: int) -> tuple[bytes, ...] | None:
        """``_http._tcp.web`` or ``_8080._tcp.web``: an exposed port of whoever has the name."""
        service, _, rest = name.partition(".")
        protocol, _, host = rest.partition(".")
        if service[:1] != "_" or protocol not in {"_tcp", "_udp", "_sctp"}:
            return None
        found = self.zone.find(self.sandbox, host)
        if not found:
            return None
        return tuple(_located(found[0], service[1:], protocol[1:])) if qtype in {wire.SRV, wire.ANY} else ()


def reverse_address(name: str) -> AnyAddress | None:
    """The address that ``4.3.2.1.in-addr.arpa`` or its IPv6 counterpart asks about (RFC 1035 section 3.5, RFC 3596)."""
    labels = name.split(".")
    try:
        if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
            return IPv4Address(".".join(reversed(labels[:4])))
        if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34 and all(len(label) == 1 for label in labels[:32]):
            return IPv6Address(int("".join(reversed(labels[:32])), 16))
    except ValueError:
        return None
    return None


def _addresses(found: list[list[Record]], qtype: int) -> Iterator[bytes]:
    """The addresses of the first network that has any of the asked family."""
    for records in found:
        addresses = dict.fromkeys(address for record in records for address in record.addresses)
        wanted = [a for a in addresses if qtype == wire.ANY or _ADDRESS_TYPES.get(qtype) == a.version]
        if wanted:
            for address in wanted:
                if address.version == 4:
                    yield _record(wire.A, dnslib.A(str(address)))
                else:
                    yield _record(wire.AAAA, dnslib.AAAA(str(address)))
            return


def _pointer(record: Record) -> Iterator[bytes]:
    target = _full_name(record)
    if target is not None:
        yield _record(wire.PTR, dnslib.PTR(target))


def _located(records: list[Record], service: str, protocol: str) -> Iterator[bytes]:
    for record in records:
        target = _full_name(record)
        for port, its in record.ports:
            if its == protocol and target is not None and service in {str(port), service_name(port, its)}:
                yield _record(wire.SRV, dnslib.SRV(0, 0, port, target))


def _full_name(record: Record) -> DNSLabel | None:
    """``container.network``; None where that is no DNS name: one of a container may be longer than a label."""
    try:
        label = DNSLabel(f"{record.names[0]}.{record.network_name}")
        DNSBuffer().encode_name(label)
    except (IndexError, UnicodeError, DNSLabelError):
        return None
    return label


@lru_cache(maxsize=1024)
def service_name(port: int, protocol: str) -> str:
    """The name of a port (services(5)); empty where it has none."""
    try:
        return socket.getservbyport(port, protocol)
    except OSError:
        return ""


def _record(kind: int, data: dnslib.RD) -> bytes:
    buffer = DNSBuffer()
    data.pack(buffer)
    return _FIXED.pack(_TO_QUESTION, kind, wire.IN, TTL_S, len(buffer.data)) + bytes(buffer.data)
