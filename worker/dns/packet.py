"""The parts of a DNS message that are read before anything else (RFC 1035 section 4, RFC 6891). Pure.

Headers, questions and the OPT record have fixed forms, and are read here with every length checked; resource data is made and
read by dnslib.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import dnslib

HEADER = struct.Struct("!6H")
QR, OPCODE, AA, TC, RD, RA, AD, CD, RCODE = 0x8000, 0x7800, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010, 0x000F
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
BADVERS = 16
A, PTR, AAAA, SRV, OPT, ANY = 1, 12, 28, 33, 41, 255
IN = 1
LEAST_SIZE = 512
"""What every asker by UDP takes (RFC 1035 section 4.2.1)."""
OWN_SIZE = 1232
"""The size that we say we take: it passes without fragments (DNS flag day 2020)."""
DO = 0x8000
_LONGEST_NAME = 255
_LONGEST_LABEL = 63
_TYPE_CLASS = struct.Struct("!HH")
_OPT = struct.Struct("!BHHBBHH")
_OPT_BYTES = _OPT.size


class Malformed(ValueError):
    """Not a query that can be answered; ``rcode`` is what its sender is told."""

    def __init__(self, rcode: int) -> None:
        super().__init__(f"rcode {rcode}")
        self.rcode = rcode


@dataclass(frozen=True, slots=True)
class Query:
    """A query with its one question."""

    id: int
    flags: int
    question: bytes
    """As it stands in the message: its name may mix upper and lower case, and is given back as it is."""
    name: bytes
    """The question's name in wire form, in lower case."""
    qtype: int
    qclass: int
    size: int = 0
    """What the asker takes by UDP (EDNS); 0: it does not speak EDNS."""
    wants_dnssec: bool = False

    @property
    def text(self) -> str:
        """The name as people write it, without the last dot."""
        return name_text(self.name)

    @property
    def limit(self) -> int:
        """The longest answer by UDP."""
        return max(self.size, LEAST_SIZE)


def read_query(packet: bytes) -> Query | None:
    """The query in *packet*; None for what must not be answered: an answer, or less than a header.

    Raises :class:`Malformed` for what deserves an error.
    """
    if len(packet) < HEADER.size:
        return None
    number, flags, questions, answers, authorities, extras = HEADER.unpack_from(packet)
    if flags & QR:
        return None
    if flags & OPCODE:
        raise Malformed(NOTIMP)
    if questions != 1 or answers or authorities:
        raise Malformed(FORMERR)
    end = name_end(packet, HEADER.size)
    if end is None or end + _TYPE_CLASS.size > len(packet):
        raise Malformed(FORMERR)
    qtype, qclass = _TYPE_CLASS.unpack_from(packet, end)
    after = end + _TYPE_CLASS.size
    size, dnssec = _edns(packet, after, extras) if extras else (0, False)
    return Query(
        number, flags, packet[HEADER.size : after], packet[HEADER.size : end].lower(), qtype, qclass, size, dnssec
    )


def name_end(packet: bytes, at: int) -> int | None:
    """Where the name at *at* ends; None where it is none, is too long, or is compressed (a question never is)."""
    start, end = at, len(packet)
    while at < end:
        length = packet[at]
        at += 1 + length
        if not length:
            return at if at - start <= _LONGEST_NAME else None
        if length > _LONGEST_LABEL:
            return None
    return None


def name_text(name: bytes) -> str:
    """Wire form as text, byte by byte (Latin-1); a dot within a label is escaped."""
    labels, at = [], 0
    while name[at]:
        label = name[at + 1 : at + 1 + name[at]].decode("latin-1")
        labels.append(label.replace("\\", "\\\\").replace(".", "\\.") if "." in label or "\\" in label else label)
        at += 1 + name[at]
    return ".".join(labels)


def reply(
    query: Query, records: bytes = b"", count: int = 0, rcode: int = NOERROR, *, truncated: bool = False
) -> bytes:
    """An answer with *count* answer records. Recursion is offered; we are no authority (as Docker's server says it)."""
    flags = QR | RA | (query.flags & (RD | CD)) | (TC if truncated else 0) | rcode
    if not query.size:
        return HEADER.pack(query.id, flags, 1, count, 0, 0) + query.question + records
    return HEADER.pack(query.id, flags, 1, count, 0, 1) + query.question + records + opt(OWN_SIZE, query.wants_dnssec)


def refusal(packet: bytes, rcode: int) -> bytes:
    """The answer to what is no proper query: a bare header (and an OPT record where its version is what is wrong)."""
    number, flags = struct.unpack_from("!HH", packet)
    said = QR | RA | (flags & (OPCODE | RD)) | (rcode & RCODE)
    if rcode != BADVERS:
        return HEADER.pack(number, said, 0, 0, 0, 0)
    return HEADER.pack(number, said, 0, 0, 0, 1) + opt(OWN_SIZE, False, rcode >> 4)


def opt(size: int, dnssec: bool, extended_rcode: int = 0) -> bytes:
    """An OPT record (RFC 6891 section 6.1.2)."""
    return _OPT.pack(0, OPT, size, extended_rcode, 0, DO if dnssec else 0, 0)


def question_of(packet: bytes) -> bytes | None:
    """The one question of an answer, its name in lower case; None where there is none."""
    if len(packet) < HEADER.size or HEADER.unpack_from(packet)[2] != 1:
        return None
    end = name_end(packet, HEADER.size)
    if end is None or end + _TYPE_CLASS.size > len(packet):
        return None
    return packet[HEADER.size : end].lower() + packet[end : end + _TYPE_CLASS.size]


def _edns(packet: bytes, at: int, extras: int) -> tuple[int, bool]:
    """(size, DO) of the OPT record; nearly always it is the only record, and the name is the root."""
    if extras == 1 and len(packet) >= at + _OPT_BYTES and packet[at] == 0:
        _, kind, size, _, version, flags, length = _OPT.unpack_from(packet, at)
        if kind == OPT and at + _OPT_BYTES + length == len(packet):
            if version:
                raise Malformed(BADVERS)
            return max(size, LEAST_SIZE), bool(flags & DO)
    try:
        found = [record for record in dnslib.DNSRecord.parse(packet).ar if record.rtype == OPT]
    except Exception:  # whatever a hostile packet makes of the library
        raise Malformed(FORMERR) from None
    if len(found) > 1:
        raise Malformed(FORMERR)
    if not found:
        return 0, False
    if found[0].ttl >> 16 & 0xFF:
        raise Malformed(BADVERS)
    return max(int(found[0].rclass), LEAST_SIZE), bool(found[0].ttl & DO)
