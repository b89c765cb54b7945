"""Choosing subnets and addresses: pure arithmetic on what is given and what is taken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_network

AnyAddress = IPv4Address | IPv6Address
AnyInterface = IPv4Interface | IPv6Interface
AnyNetwork = IPv4Network | IPv6Network


def bracketed(address: str) -> str:
    """An address as it stands before a port: of IPv6 in brackets, as in an URL (RFC 3986, 3.2.2)."""
    return f"[{address}]" if ":" in address else address


def usable_bounds(subnet: AnyNetwork) -> tuple[int, int]:
    """The first and last number of *subnet* that a host may have.

    The network and broadcast addresses are left out, except on IPv4 /31 (RFC 3021) and /32; on IPv6 the subnet-router anycast
    address (RFC 4291 section 2.6.1) is left out, except on /127 (RFC 6164) and /128.
    """
    first, last = int(subnet.network_address), int(subnet.broadcast_address)
    if subnet.num_addresses <= 2:
        return first, last
    return (first + 1, last - 1) if subnet.version == 4 else (first + 1, last)


def address_in(subnet: AnyNetwork, number: int) -> AnyAddress:
    return IPv4Address(number) if subnet.version == 4 else IPv6Address(number)


def default_gateway(subnet: AnyNetwork, ip_range: AnyNetwork | None, taken: Container[AnyAddress]) -> AnyAddress | None:
    """The address that the gateway gets when none is asked for: the first free one of the range, as Docker gives it."""
    return next(_free(subnet, ip_range, taken), None)


def lowest_free(subnet: AnyNetwork, ip_range: AnyNetwork | None, taken: Container[AnyAddress]) -> AnyAddress | None:
    """The lowest address of the range that is not *taken*; None when there is none."""
    return next(_free(subnet, ip_range, taken), None)


def _free(subnet: AnyNetwork, ip_range: AnyNetwork | None, taken: Container[AnyAddress]) -> Iterator[AnyAddress]:
    low, high = usable_bounds(subnet)
    if ip_range is not None:
        low = max(low, int(ip_range.network_address))
        high = min(high, int(ip_range.broadcast_address))
    return (address for n in range(low, high + 1) if (address := address_in(subnet, n)) not in taken)


def choose_address(
    subnet: AnyNetwork,
    ip_range: AnyNetwork | None,
    *,
    forbidden: frozenset[AnyAddress],
    in_use: frozenset[AnyAddress],
    released: Sequence[AnyAddress],
    preferred: AnyAddress | None = None,
    order: str = "lru",
) -> AnyAddress | None:
    """An address for a new endpoint, or None when the range is used up.

    *forbidden* are the gateway and reserved addresses, *released* the addresses that rest, longest first. ``lru``: the one that the
    container had, else the lowest that was never used, else the one that rested longest, so that what remembers an old
    address (a rule, a hosts line, a connection) does not meet a stranger there. ``lowest``: the lowest free one, as Docker does.
    """
    pool = ip_range or subnet
    resting = frozenset(released)
    if preferred is not None and preferred in pool and preferred not in in_use and preferred not in forbidden:
        return preferred
    if order == "lowest":
        return lowest_free(subnet, ip_range, in_use | forbidden)
    unused = lowest_free(subnet, ip_range, in_use | forbidden | resting)
    if unused is not None:
        return unused
    return next((a for a in released if a in pool and a not in in_use and a not in forbidden), None)


def choose_subnet(
    pools: Iterable[tuple[AnyNetwork, int]],
    version: int,
    avoid: Sequence[AnyNetwork],
    recent: Callable[[AnyNetwork], int] = lambda network: 0,
) -> AnyNetwork | None:
    """A subnet of *pools* (base, prefix length) that overlaps nothing of *avoid*; None when they are used up.

    *recent* orders the candidates of equal standing: pools are taken in rotation, so one that was just freed is not the next given.
    """
    blocked = [(int(n.network_address), int(n.broadcast_address)) for n in avoid if n.version == version]
    best: tuple[int, AnyNetwork] | None = None
    for base, size in pools:
        if base.version != version:
            continue
        room = 1 << (base.max_prefixlen - size)
        for first in range(int(base.network_address), int(base.broadcast_address) + 1, room):
            if any(low < first + room and first <= high for low, high in blocked):
                continue
            candidate = type(base)((first, size))
            age = recent(candidate)
            if age == 0:
                return candidate
            if best is None or age < best[0]:
                best = (age, candidate)
    return best[1] if best else None


def unique_local_pool(host_id: str) -> IPv6Network:
    """The host's own IPv6 /48 (RFC 4193): fd00::/8 and 40 bits of a hash of its id; networks take /64s of it."""
    digest = hashlib.sha256(f"cnm:{host_id}".encode()).digest()[:5]
    network = ip_network((int.from_bytes(b"\xfd" + digest + bytes(10), "big"), 48))
    assert isinstance(network, IPv6Network)  # noqa: S101  # 128 bits make an IPv6 network
    return network
