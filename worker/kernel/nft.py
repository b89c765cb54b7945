"""nf_tables over netlink: transactions, and what is read back of them.

All rules of our own are written this way: no program is started for a change, however small or large it is. Numbers are those of
linux/netfilter/nf_tables.h and linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress

from . import nft_expressions as words
from .netlink import attributes, each_attribute
from .nft_message import (
    ACK,
    APPEND,
    CREATE,
    DUMP,
    GENERIC,
    HEADER,
    IPV4,
    REQUEST,
    SUBSYSTEM,
    attribute,
    compose,
    long,
    nest,
    number,
    string,
)

NETLINK_NETFILTER = 12
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _DEL_TABLE, _NEW_CHAIN, _DEL_CHAIN = 0, 2, 3, 5
_NEW_RULE, _GET_RULE, _DEL_RULE, _NEW_SET, _GET_SET, _DEL_SET, _GET_ELEMENTS = 6, 7, 8, 9, 10, 11, 13
_ERROR, _DONE = 2, 3
_RULE_CHAIN, _RULE_HANDLE = 2, 3
_TIMEOUT_S = 10.0
_RECEIVE_BYTES = 1 << 16
_SMALL_BYTES, _MUCH_BYTES = 1 << 16, 1 << 28
"""A transaction is one datagram; what is more than small needs more room than a socket has by itself."""
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_SOL_NETLINK, _NETLINK_CAP_ACK = 270, 10
_FLAGS_AT, _SEQUENCE_AT = 6, 8

OUTPUT_HOOK, DESTINATION_PRIORITY = 3, -100
"""NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST."""
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": OUTPUT_HOOK, "postrouting": 4}
_POLICY_ACCEPT = 1
SET_ANONYMOUS, SET_CONSTANT, SET_MAP = 0x1, 0x2, 0x8


class Refused(OSError):
    """The kernel did not take a transaction."""

    def __init__(self, code: int, message: int | None) -> None:
        super().__init__(code, os.strerror(code))
        self.message = message
        """Which of the messages it refused first; None: the transaction as a whole."""


def transact(messages: Sequence[bytes]) -> None:
    """Carry out *messages* in the current network namespace, all or none. Raises :class:`Refused`.

    The kernel is asked for one answer, to the last message, so it has little to say of what it takes, however much that is. Of what it
    refuses it tells unasked, a message each: hundreds of these are more than a socket has room for by itself.
    """
    begin, end = (compose(kind, REQUEST, b"", subsystem=0, resource=SUBSYSTEM) for kind in (_BATCH_BEGIN, _BATCH_END))
    last = len(messages)
    numbered = [_numbered(message, at, asked=at == last) for at, message in enumerate((begin, *messages, end))]
    datagram = b"".join(numbered)
    with _open() as handle:
        with suppress(
            PermissionError
        ):  # without the right there is room for a few refusals, which most often is enough
            handle.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _MUCH_BYTES)
        if len(datagram) > _SMALL_BYTES:
            handle.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _MUCH_BYTES)
        handle.send(datagram)
        while True:
            for kind, sequence, body in _receive(handle):
                if kind != _ERROR:
                    continue
                (code,) = struct.unpack_from("=i", body)
                if code:
                    raise Refused(-code, sequence - 1 if 1 <= sequence <= last else None)
                if sequence == last:
                    return


def rules_of(table: str, family: int = IPV4) -> list[bytes]:
    """The raw rules of a table in the current network namespace, chain by chain; none where there is no such table."""
    return _dump(compose(_GET_RULE, REQUEST | DUMP, string(1, table), family=family))


def sets_of(table: str, family: int = IPV4) -> list[bytes]:
    """The raw definitions of a table's sets and maps."""
    return _dump(compose(_GET_SET, REQUEST | DUMP, string(1, table), family=family))


def counted_elements(family: int, table: str, name: str) -> Iterator[tuple[bytes, int, int]]:
    """(key, bytes, packets) of each element of a set whose elements count; none where there is no such set."""
    for body in _dump(compose(_GET_ELEMENTS, REQUEST | DUMP, string(1, table) + string(2, name), family=family)):
        listed = attributes(memoryview(body), GENERIC.size).get(3)
        for _, element in each_attribute(listed, 0) if listed is not None else ():
            parts = attributes(element, 0)
            key = attributes(parts[1], 0)[1]
            counter = attributes(attributes(parts[7], 0)[2], 0)
            yield bytes(key), int.from_bytes(counter[1], "big"), int.from_bytes(counter[2], "big")


def _dump(request: bytes) -> list[bytes]:
    """The body of each object that *request* asks for; none where there is no such table."""
    found: list[bytes] = []
    with _open() as handle:
        handle.send(_numbered(request, 1))
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


def handles_of(table: str, family: int = IPV4) -> dict[str, list[int]]:
    """The handles of a table's rules in their order, by chain."""
    found: dict[str, list[int]] = {}
    for rule in rules_of(table, family):
        parts = attributes(memoryview(rule), GENERIC.size)
        chain = bytes(parts[_RULE_CHAIN]).rstrip(b"\0").decode()
        handle = int.from_bytes(parts[_RULE_HANDLE], "big")
        found.setdefault(chain, []).append(handle)
    return found


def is_present() -> bool:
    """Whether this kernel has nf_tables."""
    try:
        rules_of("cnm-probe")
    except OSError:
        return False
    return True


def new_table(name: str, family: int = IPV4) -> bytes:
    return compose(_NEW_TABLE, REQUEST | CREATE, string(1, name), family=family)


def delete_table(name: str, family: int = IPV4) -> bytes:
    """With everything in it."""
    return compose(_DEL_TABLE, REQUEST, string(1, name), family=family)


def new_chain(table: str, name: str, family: int = IPV4) -> bytes:
    """A chain that others jump to."""
    return compose(_NEW_CHAIN, REQUEST | CREATE, string(1, table) + string(3, name), family=family)


def new_base_chain(table: str, name: str, kind: str, hook: int, priority: int, family: int = IPV4) -> bytes:
    """A chain of *kind* (``filter``, ``nat``) that the kernel asks at *hook* and accepts after."""
    where = nest(4, number(1, hook) + number(2, priority)) + number(5, _POLICY_ACCEPT)
    body = string(1, table) + string(3, name) + string(7, kind) + where
    return compose(_NEW_CHAIN, REQUEST | CREATE, body, family=family)


def new_nat_chain(table: str, name: str) -> bytes:
    """A chain that sees what programs of this namespace send, where destinations are translated."""
    return new_base_chain(table, name, "nat", OUTPUT_HOOK, DESTINATION_PRIORITY)


def delete_chain(table: str, name: str, family: int = IPV4) -> bytes:
    """An empty one that nothing jumps to."""
    return compose(_DEL_CHAIN, REQUEST, string(1, table) + string(3, name), family=family)


def new_rule(
    table: str,
    chain: str,
    expressions: Sequence[bytes],
    *,
    family: int = IPV4,
    comment: str = "",
    before: int | None = None,
) -> bytes:
    """At the end of *chain*, or right *before* the rule of that handle."""
    body = string(1, table) + string(2, chain) + nest(4, b"".join([nest(1, item) for item in expressions]))
    body += long(6, before) if before is not None else b""
    body += attribute(7, words.comment(comment)) if comment else b""
    return compose(_NEW_RULE, REQUEST | CREATE | (APPEND if before is None else 0), body, family=family)


def delete_rule(table: str, chain: str, handle: int, family: int = IPV4) -> bytes:
    return compose(_DEL_RULE, REQUEST, string(1, table) + string(2, chain) + long(3, handle), family=family)


def new_set(table: str, name: str, id_: int, body: bytes, *, flags: int = 0, family: int = IPV4) -> bytes:
    """*body*: what its keys and values are; *id_* names it within its transaction."""
    said = string(1, table) + string(2, name) + number(3, flags) + body + number(10, id_)
    return compose(_NEW_SET, REQUEST | CREATE, said, family=family)


def delete_set(table: str, name: str, family: int = IPV4) -> bytes:
    return compose(_DEL_SET, REQUEST, string(1, table) + string(2, name), family=family)


def _numbered(message: bytes, sequence: int, *, asked: bool = False) -> bytes:
    (flags,) = struct.unpack_from("=H", message, _FLAGS_AT)
    head = struct.pack("=HI", flags | ACK if asked else flags, sequence)
    return message[:_FLAGS_AT] + head + message[_SEQUENCE_AT + 4 :]


def _open() -> socket.socket:
    handle = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    handle.settimeout(_TIMEOUT_S)
    # A refusal need not repeat the message that it refuses.
    handle.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
    return handle


def _receive(handle: socket.socket) -> Iterator[tuple[int, int, memoryview]]:
    """(type, sequence, body) of each message of the next datagram."""
    datagram = memoryview(handle.recv(_RECEIVE_BYTES))
    at = 0
    while at + HEADER.size <= len(datagram):
        length, kind, _, sequence, _ = HEADER.unpack_from(datagram, at)
        if length < HEADER.size:
            return
        yield kind, sequence, datagram[at + HEADER.size : at + length]
        at += (length + 3) & ~3
