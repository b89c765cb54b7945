"""A packet on its way, and the connection that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address

from networks.cnm.addresses import AnyAddress
from networks.cnm.ruleset import words
from networks.cnm.ruleset.members import Span

NEW, ESTABLISHED, RELATED = "new", "established", "related"
INVALID, UNTRACKED = "invalid", "untracked"


@dataclass(frozen=True, slots=True)
class Tuple:
    """Who speaks to whom: addresses and ports. A source port is a span where the question leaves it open."""

    source: AnyAddress
    destination: AnyAddress
    sport: Span | None = None
    dport: Span | None = None

    def reversed(self) -> Tuple:
        return Tuple(self.destination, self.source, self.dport, self.sport)


@dataclass(slots=True)
class Connection:
    """What connection tracking knows of a connection."""

    original: Tuple
    protocol: int
    reply: Tuple
    """What answers will look like when they come in: the translated tuple, turned round."""
    mark: int = 0
    destination_set: bool = False
    """Whether the destination's translation (or that there is none) is decided."""
    source_set: bool = False
    translated_destination: bool = False
    translated_source: bool = False
    seen_reply: bool = False

    @property
    def status(self) -> int:
        bits = words.CT_STATUS["confirmed"]
        bits |= words.CT_STATUS["dnat"] if self.translated_destination else 0
        bits |= words.CT_STATUS["snat"] if self.translated_source else 0
        bits |= words.CT_STATUS["seen-reply"] if self.seen_reply else 0
        return bits


@dataclass(slots=True)
class Packet:
    """One packet; rules change its addresses, ports and mark as it goes."""

    now: Tuple
    protocol: int
    state: str = NEW
    """``new``, ``established``, ``related``, ``invalid`` or ``untracked``."""
    reply: bool = False
    """Whether it goes against the direction in which its connection was opened."""
    tracked: bool = False
    """Whether it has come past connection tracking."""
    connection: Connection | None = None
    mark: int = 0
    iif: str = ""
    oif: str = ""
    physin: str = ""
    physout: str = ""
    flags: int = 0
    icmp: tuple[int, int] | None = None

    @property
    def family(self) -> int:
        return self.now.destination.version

    def track(self) -> None:
        """Connection tracking sees the packet (priority -200 of PREROUTING and OUTPUT)."""
        if self.tracked or self.state == UNTRACKED:
            return
        self.tracked = True
        if self.connection is None:
            if self.state == INVALID:
                return
            self.connection = Connection(self.now, self.protocol, self.now.reversed())
        elif self.reply:
            self.connection.seen_reply = True

    def untrack(self) -> None:
        if not self.tracked:
            self.state, self.connection = UNTRACKED, None

    def state_bits(self) -> int:
        if self.state == UNTRACKED:
            return words.CT_STATES["untracked"]
        if not self.tracked or self.connection is None:
            return words.CT_STATES["invalid"]
        bits = words.CT_STATES[self.state]
        # What iptables calls the states DNAT and SNAT (xt_conntrack.c).
        bits |= words.CT_STATES["dnat"] if self.connection.translated_destination else 0
        bits |= words.CT_STATES["snat"] if self.connection.translated_source else 0
        return bits


def first_packet(now: Tuple, protocol: int, state: str) -> Packet:
    """The packet that a question is about."""
    flags = 0
    if protocol == words.TCP:
        flags = words.TCP_FLAGS["syn"] if state == NEW else words.TCP_FLAGS["ack"]
    return Packet(now, protocol, state=state, flags=flags, icmp=_echo(protocol, reply=False))


def answer_to(packet: Packet, *, opening: bool) -> Packet:
    """What the receiver of *packet* sends back; *opening*: the packet was the first of its connection.

    Where the host did not track the packet (a bridge that shows it nothing, NOTRACK), the answer is the first that it sees: for
    UDP a new connection, while a SYN that is answered already begins none (nf_conntrack_proto_tcp.c).
    """
    state = ESTABLISHED
    if packet.connection is None:
        state = INVALID if packet.protocol == words.TCP and opening else NEW
    return Packet(
        packet.now.reversed(),
        packet.protocol,
        state=state,
        reply=packet.connection is not None,
        connection=packet.connection,
        flags=_answer_flags(packet.protocol, opening),
        icmp=_echo(packet.protocol, reply=True),
    )


def next_packet(sent: Packet, connection: Connection | None) -> Packet:
    """What the one who opened a TCP connection sends once it is answered."""
    state = ESTABLISHED
    if connection is None:
        state = NEW  # it is taken for the middle of a connection that began before (nf_conntrack_tcp_loose)
    elif not connection.seen_reply:
        state = INVALID
    known = connection if state == ESTABLISHED else None
    return Packet(sent.now, sent.protocol, state=state, connection=known, flags=words.TCP_FLAGS["ack"])


def rejection_of(packet: Packet, source: AnyAddress, *, reset: bool) -> Packet:
    """What a reject sends to the sender of *packet*: a TCP reset in its receiver's name, or an ICMP error from *source*.

    Connection tracking counts it as related to what it is about (``nf_ct_attach``).
    """
    related = RELATED if packet.tracked and packet.connection is not None else INVALID
    if packet.state == UNTRACKED:
        related = UNTRACKED
    connection = packet.connection
    if reset:
        flags = words.TCP_FLAGS["rst"] | words.TCP_FLAGS["ack"]
        return Packet(
            packet.now.reversed(),
            packet.protocol,
            related,
            reply=True,
            tracked=True,
            connection=connection,
            flags=flags,
        )
    protocol, icmp = (words.ICMP, (3, 3)) if packet.family == 4 else (words.ICMPV6, (1, 4))
    now = Tuple(source, packet.now.source)
    return Packet(now, protocol, related, reply=True, tracked=True, connection=connection, icmp=icmp)


def _answer_flags(protocol: int, opening: bool) -> int:
    if protocol != words.TCP:
        return 0
    return words.TCP_FLAGS["ack"] | (words.TCP_FLAGS["syn"] if opening else 0)


def _echo(protocol: int, *, reply: bool) -> tuple[int, int] | None:
    """Type and code of a ping, or of its answer."""
    if protocol == words.ICMP:
        return (0 if reply else 8, 0)
    if protocol == words.ICMPV6:
        return (129 if reply else 128, 0)
    return None


def translated(now: Tuple, *, source: bool, address: AnyAddress | None, port: Span | None) -> Tuple:
    """*now* with another source or destination; what is None stays."""
    if source:
        return replace(now, source=address or now.source, sport=port or now.sport)
    return replace(now, destination=address or now.destination, dport=port or now.dport)


def address_of(family: int, number: int) -> AnyAddress:
    return ip_address(number.to_bytes(4 if family == 4 else 16, "big"))
