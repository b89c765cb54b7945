"""Transactions of nf_tables over netlink, for rules that are too small and too many to start a program for each.

Only what the embedded DNS server needs: a table with a chain that translates addresses. Numbers are those of
linux/netfilter/nf_tables.h and linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

NETLINK_NETFILTER = 12
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _DEL_TABLE, _NEW_CHAIN, _NEW_RULE, _GET_RULE = 0, 2, 3, 6, 7
_REQUEST, _ACK, _DUMP, _CREATE, _APPEND = 0x1, 0x4, 0x300, 0x400, 0x800
_ERROR, _DONE = 2, 3
_IPV4 = 2
_NESTED = 0x8000
_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct("!BBH")
_TIMEOUT_S = 10.0
_RECEIVE_BYTES = 1 << 16

OUTPUT_HOOK, DESTINATION_PRIORITY = 3, -100
"""NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST."""
_META_L4PROTO = 16
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_EQUAL = 0
_DESTINATION_NAT = 1
_REGISTER_1, _REGISTER_2 = 1, 2


def transact(messages: Sequence[bytes]) -> None:
    """Carry out *messages* in the current network namespace, all or none. Raises OSError with the first refusal."""
    begin, end = (
        _message(kind, _REQUEST, b"", subsystem=0, resource=_SUBSYSTEM) for kind in (_BATCH_BEGIN, _BATCH_END)
    )
    numbered = [_numbered(message, number) for number, message in enumerate((begin, *messages, end))]
    with _open() as handle:
        handle.send(b"".join(numbered))
        waiting = set(range(1, len(messages) + 1))
        while waiting:
            for kind, sequence, body in _receive(handle):
                if kind != _ERROR:
                    continue
                (code,) = struct.unpack_from("=i", body)
                if code:
                    raise OSError(-code, os.strerror(-code))
                waiting.discard(sequence)


def rules_of(table: str) -> list[bytes]:
    """The raw rules of an IPv4 table in the current network namespace; none where there is no such table."""
    found: list[bytes] = []
    with _open() as handle:
        handle.send(_numbered(_message(_GET_RULE, _REQUEST | _DUMP, _text(1, table)), 1))
        while True:
            for kind, _, body in _receive(handle):
                if kind == _ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    if code in {0, errno.ENOENT}:
                        return []
                    raise OSError(code, os.strerror(code))
                if kind == _DONE:
                    return found
                found.append(bytes(body))


def is_present() -> bool:
    """Whether this kernel has nf_tables."""
    try:
        rules_of("cnm-probe")
    except OSError:
        return False
    return True


def new_table(name: str) -> bytes:
    return _message(_NEW_TABLE, _REQUEST | _ACK | _CREATE, _text(1, name))


def delete_table(name: str) -> bytes:
    """With everything in it."""
    return _message(_DEL_TABLE, _REQUEST | _ACK, _text(1, name))


def new_nat_chain(table: str, name: str) -> bytes:
    """A chain that sees what programs of this namespace send, where destinations are translated."""
    hook = _nest(4, _number(1, OUTPUT_HOOK) + _number(2, DESTINATION_PRIORITY))
    return _message(_NEW_CHAIN, _REQUEST | _ACK | _CREATE, _text(1, table) + _text(3, name) + hook + _text(7, "nat"))


def new_translation(
    table: str, chain: str, address: IPv4Address, protocol: int, port: int, new_port: int, comment: str = ""
) -> bytes:
    """``ip daddr ADDRESS meta l4proto PROTOCOL th dport PORT dnat to ADDRESS:NEW_PORT``"""
    expressions = (
        *_compare(_payload(_NETWORK_HEADER, 16, 4), address.packed),
        *_compare(_expression("meta", _number(2, _META_L4PROTO) + _number(1, _REGISTER_1)), bytes([protocol])),
        *_compare(_payload(_TRANSPORT_HEADER, 2, 2), struct.pack("!H", port)),
        _immediate(_REGISTER_1, address.packed),
        _immediate(_REGISTER_2, struct.pack("!H", new_port)),
        _expression(
            "nat",
            _number(1, _DESTINATION_NAT) + _number(2, _IPV4) + _number(3, _REGISTER_1) + _number(5, _REGISTER_2),
        ),
    )
    listed = _nest(4, b"".join(_nest(1, expression) for expression in expressions))
    text = comment.encode()[:253] + b"\0"
    userdata = _attribute(7, bytes([0, len(text)]) + text) if comment else b""
    body = _text(1, table) + _text(2, chain) + listed + userdata
    return _message(_NEW_RULE, _REQUEST | _ACK | _CREATE | _APPEND, body)


def translated_port(port: int) -> bytes:
    """What a raw rule of :func:`new_translation` to *port* has in it."""
    return _nest(2, _attribute(1, struct.pack("!H", port)))[4:10]


def _payload(base: int, offset: int, length: int) -> bytes:
    return _expression("payload", _number(1, _REGISTER_1) + _number(2, base) + _number(3, offset) + _number(4, length))


def _compare(load: bytes, value: bytes) -> tuple[bytes, bytes]:
    return load, _expression("cmp", _number(1, _REGISTER_1) + _number(2, _EQUAL) + _nest(3, _attribute(1, value)))


def _immediate(register: int, value: bytes) -> bytes:
    return _expression("immediate", _number(1, register) + _nest(2, _attribute(1, value)))


def _expression(name: str, data: bytes) -> bytes:
    return _text(1, name) + _nest(2, data)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _nest(kind: int, value: bytes) -> bytes:
    return _attribute(kind | _NESTED, value)


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!i", value))


def _message(kind: int, flags: int, body: bytes, *, subsystem: int = _SUBSYSTEM, resource: int = 0) -> bytes:
    family = _IPV4 if subsystem else 0
    content = _GENERIC.pack(family, 0, resource) + body
    return _HEADER.pack(_HEADER.size + len(content), subsystem << 8 | kind, flags, 0, 0) + content


def _numbered(message: bytes, sequence: int) -> bytes:
    return message[:8] + struct.pack("=I", sequence) + message[12:]


def _open() -> socket.socket:
    handle = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    handle.settimeout(_TIMEOUT_S)
    return handle


def _receive(handle: socket.socket) -> Iterator[tuple[int, int, memoryview]]:
    """(type, sequence, body) of each message of the next datagram."""
    datagram = memoryview(handle.recv(_RECEIVE_BYTES))
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, _, sequence, _ = _HEADER.unpack_from(datagram, at)
        if length < _HEADER.size:
            return
        yield kind, sequence, datagram[at + _HEADER.size : at + length]
        at += (length + 3) & ~3
