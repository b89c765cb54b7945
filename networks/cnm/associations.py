"""Which security associations two hosts hold, and by which one the sender sends, while keys are exchanged. Pure.

Each direction of a pair of hosts has its own associations, oldest first. Most of the time that is one. A new one is first taken in by the
receiver (``held``), then the sender sends by it (``used``), and then the old one goes: so whatever arrives finds its key there. Sender
and receiver each go by what the rows say that the other has done, so either may be late by any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .desired import Association

REQID = 0x636E6D
"""Marks states and policies of ours; IKE daemons count theirs from small numbers."""
PEER_PRIORITY, REST_PRIORITY = 3095, 3096
"""Of policies between two hosts, and of what holds for all others. Before those of IKE daemons, whose numbers are far greater."""
KEY_BYTES = 36
"""AES-256, and the salt of four bytes (RFC 4106 section 8.1)."""
FIRST_SPI = 0x100
"""The smaller ones are reserved (RFC 4303 section 2.1)."""


def spi_of(number: int) -> int:
    """The SPI of the association with that number: no other has it until four thousand million were made."""
    return FIRST_SPI + number % ((1 << 32) - FIRST_SPI)


def fingerprint(key: bytes) -> str:
    """Tells a key from others. It is random and 36 bytes long: nobody finds it by this."""
    return hashlib.sha256(b"cnm association " + key).hexdigest()[:16]


def current(pair: Sequence[Association]) -> Association | None:
    """The one that the sender was last seen to send by; None: it has sent by none of these yet."""
    return next((one for one in reversed(pair) if one.used), None)


def incoming(pair: Sequence[Association]) -> tuple[Association, ...]:
    """What the receiver holds: all that the sender may send by, or may begin to."""
    now = current(pair)
    return tuple(one for one in pair if now is None or one.id >= now.id)


def outgoing(pair: Sequence[Association]) -> tuple[tuple[Association, ...], Association | None]:
    """What the sender holds, and the one that it sends by.

    That is the newest that the receiver holds. Where nothing was sent yet there is nothing to lose: the newest, at once. What was sent
    by before stays until nobody can be on the way with it.
    """
    now = current(pair)
    if now is None:
        return tuple(pair[-1:]), pair[-1] if pair else None
    sending = next((one for one in reversed(pair) if one.id > now.id and one.held), now)
    return tuple(dict.fromkeys((now, sending))), sending
