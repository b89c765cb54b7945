"""Messages of the kernel's IPsec: states (security associations) and policies (linux/xfrm.h, ip-xfrm(8)).

pyroute2 has none of these, so they are packed here; a test holds every byte against what ``ip xfrm`` sends. Only what encrypted overlay
networks need can be said: ESP in transport mode with AES-GCM (RFC 4106) and extended sequence numbers (RFC 4304), for UDP to one port.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6, IPPROTO_ESP, IPPROTO_UDP

from networks.cnm.addresses import AnyAddress, AnyNetwork

from .netlink import attributes

NETLINK_XFRM = 6
XFRM_MSG_NEWSA, XFRM_MSG_DELSA, XFRM_MSG_GETSA = 0x10, 0x11, 0x12
XFRM_MSG_NEWPOLICY, XFRM_MSG_DELPOLICY, XFRM_MSG_GETPOLICY = 0x13, 0x14, 0x15
XFRM_MSG_UPDPOLICY = 0x19
XFRMNLGRP_SA, XFRMNLGRP_POLICY = 3, 4
DIRECTIONS = {"in": 0, "out": 1}
ALGORITHM = "rfc4106(gcm(aes))"
ICV_BITS = 128
WINDOW = 128
"""How many packets late one may come and be taken (RFC 4303 section 3.4.3)."""

_TMPL, _SOURCE, _ALG_AEAD, _ESN = 5, 13, 18, 23
"""XFRMA_TMPL, XFRMA_SRCADDR, XFRMA_ALG_AEAD, XFRMA_REPLAY_ESN_VAL."""
_TRANSPORT = 0
_STATE_ESN = 0x80
_ALLOW, _BLOCK = 0, 1
_ANY_ALGORITHM = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_SELECTOR = struct.Struct("=16s16s2s2s2s2sHBBB3xiI")
_ID = struct.Struct("=16s4sB3x")
_LIMITS = struct.pack("=8Q", *[(1 << 64) - 1] * 4, *[0] * 4)
"""No limit of bytes or packets, no time at which it ends: keys are exchanged by their owner."""
_STATE_REST = struct.Struct("=IIHBBB7x")
_STATE_BYTES, _STATE_REST_AT = 224, 204
_POLICY_REST = struct.Struct("=IIBBBB4x")
_POLICY_BYTES, _POLICY_REST_AT = 168, 152
_TEMPLATE = struct.Struct("=16s4sB3xH2x16sIBBBxIII")
_AEAD = struct.Struct("=64sII")
_ESN_WINDOW = struct.Struct("=6I")


@dataclass(frozen=True, slots=True)
class Selector:
    """UDP from *source* to *port* of *destination*."""

    source: AnyNetwork
    destination: AnyNetwork
    port: int

    @classmethod
    def between(cls, source: AnyAddress, destination: AnyAddress, port: int) -> Selector:
        return cls(ip_network(source), ip_network(destination), port)


@dataclass(frozen=True, slots=True)
class State:
    """A security association as the kernel holds it."""

    source: AnyAddress
    destination: AnyAddress
    spi: int
    reqid: int
    port: int
    """Of its selector; 0 where that is not UDP to one port between the two."""
    key: bytes = field(repr=False)
    """With its salt. Zeros where the kernel is locked down and tells nobody."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy whose selector is UDP to one port, with one template at most."""

    direction: str
    selector: Selector
    priority: int
    block: bool
    spi: int = 0
    """Of the state that it demands; 0: any."""
    reqid: int = 0
    """Of the states that it demands; 0 where it demands none."""


def add_state(selector: Selector, spi: int, reqid: int, key: bytes) -> bytes:
    """ESP from one host to another. Refused (EEXIST) where the receiver's address has that *spi* already."""
    source, destination = selector.source.network_address, selector.destination.network_address
    body = _selector(selector) + _identity(destination, spi) + _packed(source) + _LIMITS
    body = body.ljust(_STATE_REST_AT, b"\0")
    body += _STATE_REST.pack(0, reqid, _family(destination), _TRANSPORT, 0, _STATE_ESN)
    algorithm = _AEAD.pack(ALGORITHM.encode(), 8 * len(key), ICV_BITS) + key
    window = _ESN_WINDOW.pack(WINDOW // 32, 0, 0, 0, 0, WINDOW)
    said = _attribute(_ALG_AEAD, algorithm) + _attribute(_ESN, window)
    return _message(XFRM_MSG_NEWSA, body + said)


def delete_state(source: AnyAddress, destination: AnyAddress, spi: int) -> bytes:
    body = struct.pack("=16s4sHBx", _packed(destination), spi.to_bytes(4, "big"), _family(destination), IPPROTO_ESP)
    return _message(XFRM_MSG_DELSA, body + _attribute(_SOURCE, _packed(source)))


def list_states() -> bytes:
    """All states, for a dump."""
    return _message(XFRM_MSG_GETSA, b"")


def set_policy(policy: Policy, *, replace: bool = False) -> bytes:
    """A policy; *replace*: in the place of the one that has its direction and selector."""
    selector = policy.selector
    body = _selector(selector) + _LIMITS
    body = body.ljust(_POLICY_REST_AT, b"\0")
    action = _BLOCK if policy.block else _ALLOW
    body += _POLICY_REST.pack(policy.priority, 0, DIRECTIONS[policy.direction], action, 0, 0)
    said = b"" if policy.block else _attribute(_TMPL, _template(policy))
    return _message(XFRM_MSG_UPDPOLICY if replace else XFRM_MSG_NEWPOLICY, body + said)


def delete_policy(direction: str, selector: Selector) -> bytes:
    return _message(XFRM_MSG_DELPOLICY, _selector(selector) + struct.pack("=IB3x", 0, DIRECTIONS[direction]))


def list_policies() -> bytes:
    """All policies, for a dump."""
    return _message(XFRM_MSG_GETPOLICY, b"")


def read_state(message: memoryview) -> State | None:
    """None: not ESP in transport mode with an AEAD cipher."""
    body = message[16:]
    (destination, spi, protocol) = _ID.unpack_from(body, 56)
    _, reqid, family, mode, _, _ = _STATE_REST.unpack_from(body, _STATE_REST_AT)
    cipher = attributes(message, 16 + _STATE_BYTES).get(_ALG_AEAD)
    if protocol != IPPROTO_ESP or mode != _TRANSPORT or cipher is None:
        return None
    _, bits, _ = _AEAD.unpack_from(cipher)
    there, here = _address(destination, family), _address(bytes(body[80:96]), family)
    selector = _read_selector(body)
    port = selector.port if selector == Selector.between(here, there, selector.port) else 0
    return State(
        here, there, int.from_bytes(spi, "big"), reqid, port, bytes(cipher[_AEAD.size : _AEAD.size + bits // 8])
    )


def read_policy(message: memoryview) -> Policy | None:
    """None: one that is about something else than UDP to one port, or in another direction."""
    body = message[16:]
    selector = _read_selector(body)
    priority, _, direction, action, _, _ = _POLICY_REST.unpack_from(body, _POLICY_REST_AT)
    name = next((name for name, number in DIRECTIONS.items() if number == direction), "")
    if not name or not selector.port:
        return None
    templates = attributes(message, 16 + _POLICY_BYTES).get(_TMPL, memoryview(b""))
    if len(templates) > _TEMPLATE.size:
        return None
    spi = reqid = 0
    if len(templates):
        _, number, _, _, _, reqid, *_ = _TEMPLATE.unpack_from(templates)
        spi = int.from_bytes(number, "big")
    return Policy(name, selector, priority, action == _BLOCK, spi, reqid)


def _message(kind: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, 0, 0, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _selector(selector: Selector) -> bytes:
    source, destination = selector.source, selector.destination
    return _SELECTOR.pack(
        _packed(destination.network_address),
        _packed(source.network_address),
        selector.port.to_bytes(2, "big"),
        b"\xff\xff",
        bytes(2),
        bytes(2),
        _family(destination.network_address),
        destination.prefixlen,
        source.prefixlen,
        IPPROTO_UDP,
        0,
        0,
    )


def _read_selector(body: memoryview) -> Selector:
    """Its port is 0 where it is not UDP to one port."""
    there, here, port, mask, _, sport, family, long, of_source, protocol, device, _ = _SELECTOR.unpack_from(body)
    whole = protocol == IPPROTO_UDP and mask == b"\xff\xff" and sport == bytes(2) and device == 0
    return Selector(
        ip_network((_address(here, family), of_source), strict=False),
        ip_network((_address(there, family), long), strict=False),
        int.from_bytes(port, "big") if whole else 0,
    )


def _template(policy: Policy) -> bytes:
    """What a packet must have been, or becomes. Where the policy is not about two hosts, those of the packet are meant."""
    selector = policy.selector
    ends = [end.network_address for end in (selector.source, selector.destination)]
    return _TEMPLATE.pack(
        _packed(ends[1]),
        policy.spi.to_bytes(4, "big"),
        IPPROTO_ESP,
        _family(ends[1]),
        _packed(ends[0]),
        policy.reqid,
        _TRANSPORT,
        0,
        0,
        *[_ANY_ALGORITHM] * 3,
    )


def _identity(destination: AnyAddress, spi: int) -> bytes:
    return _ID.pack(_packed(destination), spi.to_bytes(4, "big"), IPPROTO_ESP)


def _packed(address: AnyAddress) -> bytes:
    return address.packed.ljust(16, b"\0")


def _family(address: AnyAddress) -> int:
    return AF_INET if address.version == 4 else AF_INET6


def _address(packed: bytes, family: int) -> AnyAddress:
    return ip_address(packed[:4] if family == AF_INET else packed)
