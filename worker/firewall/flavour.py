"""Which of a host's rule backends we write.

Rules of the legacy and of the nf_tables flavour are both asked for every packet, and a DROP in either wins; so the choice is the host's:
the flavour in which rules already stand, else the one that the host's own ``iptables`` command speaks.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from networks.cnm.errors import Conflict, Unsupported
from networks.cnm.names import Naming
from networks.cnm.text import NOTHING, Text, gettext_noop

from .iptables import FLAVOURS, Iptables

LEGACY, NFT = FLAVOURS
_VERSION_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands in one flavour."""

    available: bool
    rules: int = 0
    ours: bool = False
    """Whether chains of our naming scheme stand there."""
    drops: bool = False
    """Whether it drops forwarded packets that no rule accepts (the policy of FORWARD)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The flavour that is written, why, and what is odd about it."""

    flavour: str
    reason: Text
    warning: Text = NOTHING


_STAYS = gettext_noop("Our rules stand in {flavour} already.")
_ONLY = gettext_noop("{flavour} is the only flavour of iptables that is installed.")
_STANDING = gettext_noop("The host's rules stand in {flavour}.")
_COMMAND = gettext_noop("The host's own iptables command writes {flavour}.")
_DROPS = gettext_noop("{flavour} drops forwarded packets unless a rule there accepts them, so ours must stand there.")
_OTHER_DROPS = gettext_noop(
    "{other} drops forwarded packets that its own rules do not accept, whatever ours in {flavour} say: containers may be cut off."
)


def survey(naming: Naming) -> dict[str, Seen]:
    """What stands in each flavour. Looking makes no table."""
    return {flavour: _look(Iptables(flavour), naming) for flavour in FLAVOURS}


def command_flavour() -> str:
    """The flavour of the host's ``iptables`` command; empty where there is none."""
    try:
        done = subprocess.run(
            ["iptables", "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return NFT if "nf_tables" in done.stdout else LEGACY


def choose(setting: str, seen: Mapping[str, Seen], command: str) -> Choice:
    """The flavour to write. Pure.

    *setting* is ``CNM_FIREWALL``: ``auto`` or ``iptables``; ``nftables`` is refused as not built. Raises :class:`Unsupported` where
    nothing can be written, :class:`Conflict` where both flavours drop what is forwarded.
    """
    if setting == "nftables":
        raise Unsupported(
            gettext_noop("Writing rules through nftables itself is not built in this version."),
            remedy=gettext_noop("Set CNM_FIREWALL to auto: on most hosts iptables writes into nftables anyway."),
            field="CNM_FIREWALL",
        )
    available = [flavour for flavour in FLAVOURS if seen[flavour].available]
    if not available:
        raise Unsupported(
            gettext_noop("No iptables is installed on this host."),
            remedy=gettext_noop("Install the package iptables, or set CNM_IPTABLES to false."),
        )
    ours = [flavour for flavour in available if seen[flavour].ours]
    if len(ours) == 1:
        return _with_warning(ours[0], _STAYS, seen)
    if len(available) == 1:
        return _with_warning(available[0], _ONLY, seen)
    dropping = [flavour for flavour in available if seen[flavour].drops]
    if len(dropping) > 1:
        raise Conflict(
            gettext_noop(
                "Both iptables-legacy and iptables-nft drop forwarded packets on this host (policy of FORWARD)."
            ),
            remedy=gettext_noop("Set the policy of one of them to ACCEPT: iptables-legacy -P FORWARD ACCEPT."),
        )
    if dropping:
        return Choice(dropping[0], Text.of(_DROPS, flavour=dropping[0]))
    standing = [flavour for flavour in available if seen[flavour].rules]
    if len(standing) == 1:
        return Choice(standing[0], Text.of(_STANDING, flavour=standing[0]))
    flavour = command if command in available else NFT
    return Choice(flavour, Text.of(_COMMAND, flavour=flavour))


def refuse_docker_engine(naming: Naming, flavour: str, known_rules: int) -> None:
    """Raises :class:`Conflict` when Docker's names are to be used where a Docker Engine uses them.

    *known_rules* is how many rules the ledger knows: chains of that name that we did not make are an engine's.
    """
    if naming.key != "docker" or known_rules:
        return
    if _look(Iptables(flavour), naming).ours:
        raise Conflict(
            gettext_noop("Chains named {chain} stand on this host already: a Docker Engine runs here, or has run."),
            remedy=gettext_noop(
                "Set CNM_NAMES to cnm, which lives beside it, or stop the engine and flush its chains."
            ),
            field="CNM_NAMES",
            chain=naming.chain,
        )


def _look(backend: Iptables, naming: Naming) -> Seen:
    if not backend.available():
        return Seen(available=False)
    saved = backend.read(4)
    return Seen(
        available=True,
        rules=len(saved.lines),
        ours=any(chain.name == naming.chain for chain in saved.chains),
        drops=any(chain.name == "FORWARD" and chain.policy == "DROP" for chain in saved.chains),
    )


def _with_warning(flavour: str, template: str, seen: Mapping[str, Seen]) -> Choice:
    other = next(name for name in FLAVOURS if name != flavour)
    warning = Text.of(_OTHER_DROPS, flavour=flavour, other=other) if seen[other].drops else NOTHING
    return Choice(flavour, Text.of(template, flavour=flavour), warning)
