"""The rules of a published port: translation, admission, hairpin, and who is kept out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from networks.cnm.addresses import AnyAddress
from networks.cnm.desired import HostSettings, PublishedPort
from networks.cnm.resources import Owner
from networks.cnm.rules import Rule
from networks.cnm.text import Text, gettext_noop

from . import layout, words
from .words import Writer

Values = tuple[tuple[str, str], ...]
_REMEMBERED = 1 << 16

_EVERYWHERE = Text(gettext_noop("every address of this host"))
_TRANSLATES = gettext_noop(
    "Traffic to port {host_port}/{protocol} of {where} goes to port {port} of container {container} at {address}."
)
_TRANSLATES_LOOPBACK = gettext_noop(
    "Traffic of this host to {where}, port {host_port}/{protocol}, goes to port {port} of container {container} at {address}."
)
_ADMITS = gettext_noop("Lets traffic to the published port {port}/{protocol} of container {container} in.")
_ADMITS_SOURCE = gettext_noop(
    "Lets {source} use port {host_port}/{protocol} of the host, which leads to port {port} of container {container}."
)
_KEEPS_OUT = gettext_noop(
    "Keeps everybody out of port {host_port}/{protocol} of the host who is not among its allowed sources ({sources})."
)
_HAIRPIN = gettext_noop(
    "Rewrites the source when container {container} calls itself through its published port {port}/{protocol}: without it, it"
    " would answer itself directly and the answer would not be recognised."
)
_LOOPBACK_ONLY = gettext_noop(
    "Port {host_port}/{protocol} is published on {where} only: drops packets for it that come from outside this host."
)
_ASKS_HOLDER = gettext_noop("Asks {chain} who may use port {host_port}/{protocol} through the port holder.")
_LETS_HOLDER = gettext_noop("Lets {source} use port {host_port}/{protocol} of the host through the port holder.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container's published ports lead in one address family."""

    device: str
    """The bridge."""
    address: AnyAddress
    """The container's."""
    container: str
    """Its name, for the reasons."""
    activation: int
    """The container's."""
    translated: bool
    """False on a routed network: no host port leads there, the container's own is opened."""


def compile_port(
    port: PublishedPort, host_address: AnyAddress | None, place: Place, settings: HostSettings, writer: Writer
) -> tuple[Rule, ...]:
    """The rules of one published port in *writer*'s address family; *host_address* None means every address of the host.

    Remembered: of a thousand ports of a container, a change touches one or two.
    """
    return _compile_port(port, host_address, place, settings.hardening, settings.userland_proxy, writer)


@lru_cache(maxsize=_REMEMBERED)
def _compile_port(
    port: PublishedPort,
    host_address: AnyAddress | None,
    place: Place,
    hardening: bool,
    userland_proxy: bool,
    writer: Writer,
) -> tuple[Rule, ...]:
    return tuple(_rules(port, host_address, place, hardening, userland_proxy, writer))


def _rules(
    port: PublishedPort,
    host_address: AnyAddress | None,
    place: Place,
    hardening: bool,
    userland_proxy: bool,
    writer: Writer,
) -> Iterator[Rule]:
    owner = Owner(kind="port", id=port.id, name=f"{port.host_port}/{port.protocol}")
    # The reasons of one port are filled from the same values, made once.
    said = Text.of(
        "",
        host_port=port.host_port,
        protocol=port.protocol,
        port=port.container_port,
        container=place.container,
        address=place.address,
        where=_EVERYWHERE if host_address is None else host_address,
        sources=", ".join(map(str, port.allowed_sources)),
    ).params
    if place.translated:
        yield _translation(port, host_address, place, userland_proxy, writer, owner, said)
    yield from _admission(port, host_address, place, writer, owner, said)
    if place.translated:
        yield writer.rule(
            "nat",
            "POSTROUTING",
            words.source(place.address)
            + words.destination(place.address)
            + words.to_port(port.protocol, port.container_port),
            words.MASQUERADE,
            layout.of_port(place.activation, port.activation),
            owner,
            Text(_HAIRPIN, said),
        )
        if hardening and isinstance(host_address, IPv4Address) and host_address.is_loopback:
            yield writer.rule(
                "raw",
                "PREROUTING",
                words.destination(host_address)
                + words.entering_elsewhere("lo")
                + words.to_port(port.protocol, port.host_port),
                words.DROP,
                layout.of_port(place.activation, port.activation),
                owner,
                Text(_LOOPBACK_ONLY, said),
            )


def _translation(
    port: PublishedPort,
    host_address: AnyAddress | None,
    place: Place,
    userland_proxy: bool,
    writer: Writer,
    owner: Owner,
    said: Values,
) -> Rule:
    matches: words.Matches = ()
    if writer.family == 6:
        # An answer to a link-local source could not be routed back through the translation.
        matches += words.source(words.LINK_LOCAL_IPV6, but=True)
    if host_address is not None:
        matches += words.destination(host_address)
    if userland_proxy:
        matches += words.entering_elsewhere(place.device)
    loopback = host_address is not None and host_address.is_loopback
    return writer.rule(
        "nat",
        writer.naming.chain,
        matches + words.to_port(port.protocol, port.host_port),
        words.translate_to(place.address, port.container_port),
        layout.of_port(place.activation, port.activation),
        owner,
        Text(_TRANSLATES_LOOPBACK if loopback else _TRANSLATES, said),
    )


def _admission(
    port: PublishedPort,
    host_address: AnyAddress | None,
    place: Place,
    writer: Writer,
    owner: Owner,
    said: Values,
) -> Iterator[Rule]:
    """ACCEPT for everybody, or for each allowed source and a DROP for the rest.

    FORWARD sees the true source, but only the translated destination; conntrack remembers the host port that was called, so that
    two host ports may lead to one container port and let different people in.
    """
    chain = writer.naming.chain
    way = words.entering_elsewhere(place.device) + words.leaving(place.device)
    into = words.destination(place.address) + way + words.to_port(port.protocol, port.container_port)
    if not port.allowed_sources:
        rank = layout.open_port(place.activation, port.activation)
        yield writer.rule("filter", chain, into, words.ACCEPT, rank, owner, Text(_ADMITS, said))
        return
    if place.translated:
        into += words.first_sent_to(host_address, port.host_port)
    position = 0
    for source in port.allowed_sources:
        if source.version != writer.family:
            continue
        everybody = source.prefixlen == 0
        yield writer.rule(
            "filter",
            chain,
            into if everybody else words.source(source) + into,
            words.ACCEPT,
            layout.restricted(place.activation, port.activation, position),
            owner,
            Text(_ADMITS_SOURCE, (*said, ("source", str(source)))),
        )
        position += 1
    yield writer.rule(
        "filter",
        chain,
        into,
        words.DROP,
        layout.restricted(place.activation, port.activation, position),
        owner,
        Text(_KEEPS_OUT, said),
    )


def guard_holder(
    port: PublishedPort, host_address: AnyAddress | None, activation: int, writer: Writer
) -> Iterator[Rule]:
    """Keeps who is not allowed away from the port holder, too.

    What rules do not translate (containers of this host, IPv6 to a container without it) reaches the holder's own socket, which
    carries it on under another source: FORWARD would not know it any more. The host's own rules for INPUT stay in force.
    """
    owner = Owner(kind="port", id=port.id, name=f"{port.host_port}/{port.protocol}")
    said = Text.of(
        "",
        host_port=port.host_port,
        protocol=port.protocol,
        chain=writer.naming.chain,
        sources=", ".join(map(str, port.allowed_sources)),
    ).params
    called = words.destination(host_address) if host_address is not None else ()
    called += words.entering_elsewhere("lo") + words.to_port(port.protocol, port.host_port)
    jump = words.jump(writer.naming.chain)
    rank = layout.of_port(activation, port.activation)
    yield writer.rule("filter", "INPUT", called, jump, rank, owner, Text(_ASKS_HOLDER, said), anchor="top")
    called += words.TO_LOCAL
    allowed = [source for source in port.allowed_sources if source.version == writer.family]
    for position, source in enumerate(allowed):
        yield writer.rule(
            "filter",
            writer.naming.chain,
            called if source.prefixlen == 0 else words.source(source) + called,
            words.RETURN,
            layout.at_holder(activation, port.activation, position),
            owner,
            Text(_LETS_HOLDER, (*said, ("source", str(source)))),
        )
    rank = layout.at_holder(activation, port.activation, len(allowed))
    yield writer.rule("filter", writer.naming.chain, called, words.DROP, rank, owner, Text(_KEEPS_OUT, said))


def effective_addresses(port: PublishedPort, binding: AnyAddress | None) -> tuple[tuple[int, AnyAddress | None], ...]:
    """Where a port is published: (family, address), None standing for every address of the family.

    *binding* is the network's default. ``0.0.0.0`` means every IPv4 address and ``::`` every IPv6 address; nothing at all, or
    ``0.0.0.0`` as a network's default, means both.
    """
    if port.host_address is not None:
        address = port.host_address
        return ((address.version, None if address.is_unspecified else address),)
    if binding is None or binding == IPv4Address(0):
        return ((4, None), (6, None))
    return ((binding.version, None if binding.is_unspecified else binding),)


def every_address(family: int) -> AnyAddress:
    """``0.0.0.0`` or ``::``."""
    return _EVERY[family]


_EVERY: dict[int, AnyAddress] = {4: IPv4Address(0), 6: IPv6Address(0)}
