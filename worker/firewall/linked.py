"""The rules of legacy links on a bridge whose containers may not talk to each other (icc=false). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from networks.cnm.addresses import AnyAddress
from networks.cnm.desired import Container, Link
from networks.cnm.resources import Owner
from networks.cnm.rules import Rule
from networks.cnm.text import Text, gettext_noop

from . import layout, words
from .words import Writer

_THERE = gettext_noop(
    "Link {alias}: lets container {recipient} call port {port}/{protocol} of container {source}, though this network keeps its"
    " containers apart."
)
_BACK = gettext_noop("Link {alias}: lets container {source} answer container {recipient} from port {port}/{protocol}.")
_BACK_OPEN = gettext_noop(
    "Link {alias}: lets container {source} answer container {recipient} from port {port}/{protocol}. Without hardening (CNM_HARDENING)"
    " it asks for no connection, as Docker's own rule: {source} can open any port of {recipient} by sending from port {port}."
)


def linkable_ports(source: Container) -> tuple[tuple[int, str], ...]:
    """The ports of a link's source, exposed or published, in the order in which Docker programs them: highest first, TCP first."""
    published = ((port.container_port, port.protocol) for port in source.ports)
    return tuple(sorted({*source.exposed_ports, *published}, key=lambda port: (-port[0], port[1] != "tcp", port[1])))


def compile_link(
    link: Link,
    recipient: Container,
    recipient_address: AnyAddress,
    source: Container,
    source_address: AnyAddress,
    device: str,
    hardening: bool,
    writer: Writer,
) -> Iterator[Rule]:
    """A pair of rules for each port of the source.

    Docker's second rule lets the source open any port of the recipient by sending from the linked port; *hardening* binds it to
    connections that the recipient opened.
    """
    owner = Owner(kind="link", id=link.id, name=link.alias)
    within = words.entering(device) + words.leaving(device)
    there = words.source(recipient_address) + words.destination(source_address) + within
    back = words.source(source_address) + words.destination(recipient_address) + within
    answers = words.ESTABLISHED if hardening else ()
    for position, (port, protocol) in enumerate(linkable_ports(source)):
        said = {
            "alias": link.alias,
            "recipient": recipient.name,
            "source": source.name,
            "port": port,
            "protocol": protocol,
        }
        rank = layout.of_link(recipient.activation, link.activation, 2 * position)
        yield writer.rule(
            "filter",
            writer.naming.chain,
            there + words.to_port(protocol, port),
            words.ACCEPT,
            rank,
            owner,
            Text.of(_THERE, **said),
        )
        yield writer.rule(
            "filter",
            writer.naming.chain,
            back + words.from_port(protocol, port) + answers,
            words.ACCEPT,
            (*rank[:-1], 2 * position + 1),
            owner,
            Text.of(_BACK if hardening else _BACK_OPEN, **said),
        )
