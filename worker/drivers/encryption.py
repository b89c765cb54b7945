"""What encrypts overlay networks between hosts: IPsec ESP in transport mode, between each pair of them. Pure.

Encrypted networks have a UDP port of their own, and the kernel's IPsec goes by it: what comes there in the clear is dropped, and so is
what leaves for it without a key. So nothing rests on a mark, which a rule would have to set: whoever flushes the host's rules makes
no packet go out in the clear. Two rules say the same once more, where admins look, and hold when somebody flushes the policies.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from networks.cnm.addresses import AnyAddress, AnyNetwork
from networks.cnm.associations import PEER_PRIORITY, REST_PRIORITY, incoming, outgoing, spi_of
from networks.cnm.desired import Association, Network
from networks.cnm.resources import Owner, Resource, XfrmPolicy, XfrmState
from networks.cnm.rules import Rule
from networks.cnm.text import Text, gettext_noop
from networks.cnm.underlay import underlay_of
from worker.firewall import layout, words

from .base import Surroundings

_SENDS = gettext_noop("Encrypts what this host sends to host {host} on overlay networks that are encrypted.")
_TAKES = gettext_noop("Decrypts what host {host} sends to this one on overlay networks that are encrypted.")
_CLEAR_IN = gettext_noop(
    "UDP port {port} is that of overlay networks which are encrypted: what arrives there in the clear is dropped."
)
_CLEAR_OUT = gettext_noop(
    "UDP port {port} is that of overlay networks which are encrypted: nothing leaves for it in the clear, and what there is no key"
    " for is dropped."
)
_EVERYBODY: dict[int, AnyNetwork] = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def compile_encryption(network: Network, owner: Owner, around: Surroundings) -> Iterator[Resource]:
    """What *network*, which is encrypted, needs of the host's IPsec. Networks share it: each thing is compiled for the first of them."""
    underlay = underlay_of(around.settings, around.facts)
    if network.id == next(iter(around.encrypted_peers)):
        versions = (underlay.address.version,) if underlay else (4, 6) if around.has_ipv6 else (4,)
        yield from _for_all(versions, owner, around)
    for host, address in around.encrypted_peers[network.id].items():
        if underlay is not None and address.version == underlay.address.version:
            yield from _with_peer(host, address, underlay.address, owner, around)


def _for_all(versions: tuple[int, ...], owner: Owner, around: Surroundings) -> Iterator[Resource]:
    port = around.settings.encrypted_port
    for version in versions:
        yield from _for_everybody(_EVERYBODY[version], port, owner)
        if version in around.writers:
            yield from _rules(version, port, around)


def _for_everybody(anybody: AnyNetwork, port: int, owner: Owner) -> Iterator[XfrmPolicy]:
    for direction, why in (("in", _CLEAR_IN), ("out", _CLEAR_OUT)):
        yield XfrmPolicy(
            direction=direction,
            source=anybody,
            destination=anybody,
            port=port,
            priority=REST_PRIORITY,
            block=direction == "out",
            owner=owner,
            why=Text.of(why, port=port),
        )


def _rules(version: int, port: int, around: Surroundings) -> Iterator[Rule]:
    for chain, direction, why in (("INPUT", "in", _CLEAR_IN), ("OUTPUT", "out", _CLEAR_OUT)):
        yield around.writers[version].rule(
            "filter",
            chain,
            words.to_port("udp", port) + words.in_the_clear(direction),
            words.DROP,
            layout.CLEAR,
            around.owner,
            Text.of(why, port=port),
            anchor="top",
        )


def _with_peer(
    host: str, there: AnyAddress, here: AnyAddress, owner: Owner, around: Surroundings
) -> Iterator[Resource]:
    port, me = around.settings.encrypted_port, around.host.id
    kept, sending = outgoing(around.associations.get((me, host), ()))
    sends, takes = Text.of(_SENDS, host=host), Text.of(_TAKES, host=host)
    for one in kept:
        yield _state(one, here, there, port, owner, sends, outgoing_=True)
    for one in incoming(around.associations.get((host, me), ())):
        yield _state(one, there, here, port, owner, takes, outgoing_=False)
    if sending is not None:
        yield XfrmPolicy(
            direction="out",
            source=ip_network(here),
            destination=ip_network(there),
            port=port,
            priority=PEER_PRIORITY,
            spi=spi_of(sending.id),
            association=sending.id,
            owner=owner,
            why=sends,
        )


def _state(
    one: Association,
    source: AnyAddress,
    destination: AnyAddress,
    port: int,
    owner: Owner,
    why: Text,
    *,
    outgoing_: bool,
) -> XfrmState:
    return XfrmState(
        source=source,
        destination=destination,
        spi=spi_of(one.id),
        port=port,
        fingerprint=one.fingerprint,
        outgoing=outgoing_,
        association=one.id,
        sender=one.sender,
        receiver=one.receiver,
        sealed=one.sealed,
        burnt=one.begun if outgoing_ else one.held,
        owner=owner,
        why=why,
    )
