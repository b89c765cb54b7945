"""The words that our rules are made of, in the order in which iptables-save prints them. Pure.

A rule of ours reads: addresses, interfaces, protocol, the protocol's own module, other modules, the owner's comment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from networks.cnm.names import Naming
from networks.cnm.resources import Owner
from networks.cnm.rules import Match, Rank, Rule, Target
from networks.cnm.text import NOTHING, Text

Destination = IPv4Address | IPv6Address | IPv4Network | IPv6Network
Matches = tuple[Match, ...]

ACCEPT = Target("ACCEPT")
DROP = Target("DROP")
RETURN = Target("RETURN")
MASQUERADE = Target("MASQUERADE")

TO_LOCAL = (Match("addrtype", "--dst-type", ("LOCAL",)),)
"""To an address of the host itself."""
FROM_LOCAL = (Match("addrtype", "--src-type", ("LOCAL",)),)
ESTABLISHED = (Match("conntrack", "--ctstate", ("ESTABLISHED",)),)
RELATED_OR_ESTABLISHED = (Match("conntrack", "--ctstate", ("RELATED,ESTABLISHED",)),)
LOOPBACK: dict[int, IPv4Network | IPv6Network] = {4: IPv4Network("127.0.0.0/8"), 6: IPv6Network("::1/128")}
LINK_LOCAL_IPV6 = IPv6Network("fe80::/10")


def prefixed(destination: Destination) -> str:
    """An address or network as iptables-save prints it: always with its prefix length."""
    if isinstance(destination, IPv4Address | IPv6Address):
        return f"{destination}/{destination.max_prefixlen}"
    return str(destination)


@lru_cache(maxsize=8192)
def source(address: Destination, *, but: bool = False) -> Matches:
    """From *address*, or (*but*) from any other."""
    return (Match("", "-s", (prefixed(address),), but),)


@lru_cache(maxsize=8192)
def destination(address: Destination, *, but: bool = False) -> Matches:
    """To *address*, or (*but*) to any other."""
    return (Match("", "-d", (prefixed(address),), but),)


@lru_cache(maxsize=8192)
def entering(device: str) -> Matches:
    """Coming in through *device*."""
    return (Match("", "-i", (device,)),)


@lru_cache(maxsize=8192)
def entering_elsewhere(device: str) -> Matches:
    """Coming in through any device but *device*."""
    return (Match("", "-i", (device,), True),)


@lru_cache(maxsize=8192)
def leaving(device: str) -> Matches:
    """Going out through *device*."""
    return (Match("", "-o", (device,)),)


@lru_cache(maxsize=8192)
def leaving_elsewhere(device: str) -> Matches:
    """Going out through any device but *device*."""
    return (Match("", "-o", (device,), True),)


@lru_cache(maxsize=8192)
def to_port(protocol: str, port: int) -> Matches:
    """To *port* of *protocol* (``tcp``, ``udp``, ``sctp``)."""
    return (Match("", "-p", (protocol,)), Match(protocol, "--dport", (str(port),)))


@lru_cache(maxsize=8192)
def from_port(protocol: str, port: int) -> Matches:
    """From *port* of *protocol*."""
    return (Match("", "-p", (protocol,)), Match(protocol, "--sport", (str(port),)))


@lru_cache(maxsize=4)
def icmp(family: int) -> Matches:
    """Any message of ICMP, or of ICMPv6."""
    return (Match("", "-p", ("icmp" if family == 4 else "ipv6-icmp",)),)


@lru_cache(maxsize=2)
def in_the_clear(direction: str) -> Matches:
    """What IPsec has not decrypted (``in``), or will not encrypt (``out``)."""
    return (Match("policy", "--dir", (direction,)), Match("policy", "--pol", ("none",), joined=True))


def first_sent_to(address: IPv4Address | IPv6Address | None, port: int) -> Matches:
    """The connection was first sent to *port* (of *address*), whatever it was translated to since."""
    if address is None or address.is_unspecified:
        return (Match("conntrack", "--ctorigdstport", (str(port),)),)
    return (
        Match("conntrack", "--ctorigdst", (str(address),)),
        Match("conntrack", "--ctorigdstport", (str(port),), joined=True),
    )


def translate_to(address: IPv4Address | IPv6Address, port: int) -> Target:
    """DNAT to *address* and *port*."""
    where = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    return Target("DNAT", (("--to-destination", (where,)),))


def leave_as(address: IPv4Address | IPv6Address) -> Target:
    """SNAT to *address*."""
    return Target("SNAT", (("--to-source", (str(address),)),))


@lru_cache(maxsize=64)
def jump(chain: str) -> Target:
    return Target(chain)


@lru_cache(maxsize=8192)
def _comment(tag: str) -> Matches:
    return (Match("comment", "--comment", (tag,)),)


@dataclass(frozen=True, slots=True)
class Writer:
    """Makes the rules of one address family in one naming scheme."""

    family: int
    naming: Naming

    def rule(
        self,
        table: str,
        chain: str,
        matches: Matches,
        target: Target,
        rank: Rank,
        owner: Owner,
        why: Text = NOTHING,
        anchor: str = "end",
    ) -> Rule:
        """One rule of *owner*, with its id as a comment where the naming scheme wants one."""
        if self.naming.comments:
            matches += _comment(owner.tag)
        return Rule(
            family=self.family,
            table=table,
            chain=chain,
            matches=matches,
            target=target,
            rank=rank,
            anchor=anchor,
            owner=owner,
            why=why,
        )
