"""Our chains, and the jumps from the kernel's own chains into them."""

from __future__ import annotations

from collections.abc import Iterator

from networks.cnm.desired import Network
from networks.cnm.resources import Resource
from networks.cnm.rules import Chain, Rule
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Surroundings, driver
from worker.firewall import layout, words
from worker.firewall.words import Writer

_TRANSLATIONS = gettext_noop("Holds the translations of published ports.")
_ADMISSIONS = gettext_noop("Holds what may enter a network of containers: published ports and links.")
_LEAVING = gettext_noop("Sees what leaves one network of containers, to keep it out of the others.")
_ENTERING = gettext_noop("Sees what left one network of containers, and drops it where it would enter another.")
_YOURS = gettext_noop("Yours: rules in it are asked first and never touched.")
_ASK_USER = gettext_noop("Your own rules in {chain} are asked before any of ours.")
_ASK_ISOLATION = gettext_noop("Keeps the networks of containers apart.")
_PUBLISHED = gettext_noop("What is addressed to this host itself may be for a published port.")
_PUBLISHED_LOCAL = gettext_noop("What this host sends to one of its own addresses may be for a published port.")
_BACK = gettext_noop("What no rule above spoke of goes on as before.")


def compile_base_rules(around: Surroundings) -> Iterator[Resource]:
    """The chains of each family that we write rules for. IPv6 has them only while a network has IPv6, or a port with allowed
    sources must be guarded there."""
    bridged = [network for network in around.networks.values() if driver(network.driver).device(network, around)]
    guarded = any(port.allowed_sources for container in around.live for port in container.ports)
    for family, writer in around.writers.items():
        of_family = [n for n in bridged if any(subnet.subnet.version == family for subnet in n.subnets)]
        if family == 4 or of_family or guarded:
            yield from _chains(writer, around)
            yield from _jumps(writer, of_family, around)


def _chains(writer: Writer, around: Surroundings) -> Iterator[Resource]:
    naming = writer.naming
    for table, name, template in (
        ("nat", naming.chain, _TRANSLATIONS),
        ("filter", naming.chain, _ADMISSIONS),
        ("filter", naming.isolation_stage_1, _LEAVING),
        ("filter", naming.isolation_stage_2, _ENTERING),
        ("filter", naming.user_chain, _YOURS),
    ):
        yield Chain(
            family=writer.family,
            table=table,
            name=name,
            handed_over=name == naming.user_chain,
            owner=around.owner,
            why=Text.of(template),
        )


def _jumps(writer: Writer, networks: list[Network], around: Surroundings) -> Iterator[Rule]:
    naming, owner = writer.naming, around.owner
    yield writer.rule(
        "filter",
        "FORWARD",
        (),
        words.jump(naming.user_chain),
        layout.USER_JUMP,
        owner,
        Text.of(_ASK_USER, chain=naming.user_chain),
        anchor="top",
    )
    for chain in (naming.isolation_stage_1, naming.isolation_stage_2):
        yield writer.rule("filter", chain, (), words.RETURN, layout.LAST, owner, Text.of(_BACK))
    if networks:
        yield writer.rule(
            "filter",
            "FORWARD",
            (),
            words.jump(naming.isolation_stage_1),
            layout.ISOLATION_JUMP,
            owner,
            Text.of(_ASK_ISOLATION),
            anchor="top",
        )
    if any(not network.internal for network in networks):
        yield from _translation_jumps(writer, around)


def _translation_jumps(writer: Writer, around: Surroundings) -> Iterator[Rule]:
    chain = words.jump(writer.naming.chain)
    yield writer.rule("nat", "PREROUTING", words.TO_LOCAL, chain, layout.LAST, around.owner, Text.of(_PUBLISHED))
    # With a port holder, 127.0.0.1 is carried by it; without one, rules translate that too.
    but_loopback = words.destination(words.LOOPBACK[writer.family], but=True) if around.settings.userland_proxy else ()
    yield writer.rule(
        "nat", "OUTPUT", but_loopback + words.TO_LOCAL, chain, layout.LAST, around.owner, Text.of(_PUBLISHED_LOCAL)
    )
