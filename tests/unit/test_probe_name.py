"""What name servers answer is read strictly: only an answer to this very question counts, and garbage is refused."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.kernel.probe_name import Malformed, read_answer

QUESTION = b"\x02db\x04shop\0" + struct.pack("!HH", 1, 1)
POINTER = struct.pack("!H", 0xC00C)


def record(kind: int, data: bytes, name: bytes = POINTER) -> bytes:
    return name + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def answer(*records: bytes, number: int = 7, flags: int = 0x8180, question: bytes = QUESTION) -> bytes:
    return struct.pack("!HHHHHH", number, flags, 1, len(records), 0, 0) + question + b"".join(records)


def test_addresses_of_both_kinds_are_read_behind_aliases() -> None:
    alias = record(5, b"\x03web" + POINTER)
    found = answer(alias, record(1, ip_address("10.0.0.3").packed, b"\x03web" + POINTER), record(16, b"\x01x"))
    assert read_answer(found, 7, QUESTION) == (0, ["10.0.0.3"])
    six = answer(record(28, ip_address("fd00::3").packed))
    assert read_answer(six, 7, QUESTION) == (0, ["fd00::3"])
    assert read_answer(answer(flags=0x8183), 7, QUESTION) == (3, [])
    upper = answer(question=b"\x02DB\x04Shop\0" + QUESTION[-4:])
    assert read_answer(upper, 7, QUESTION) == (0, [])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        answer(number=8),
        answer(flags=0x0100),
        answer(question=b"\x02db\x04blog\0" + QUESTION[-4:]),
        answer(record(1, bytes(4)))[:-1],
        answer(POINTER),
        answer(b"\x3f"),
    ],
)
def test_what_is_no_answer_to_the_question_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_answer(data, 7, QUESTION)


@given(st.binary(max_size=120))
def test_garbage_is_refused_and_nothing_else_happens(rest: bytes) -> None:
    try:
        code, addresses = read_answer(answer(*[b""] * 3)[:28] + rest, 7, QUESTION)
    except Malformed:
        return
    assert 0 <= code < 16
    assert all(ip_address(address) for address in addresses)
