"""Which of a host's rule backends we write.

Rules of legacy iptables, of iptables-nft and of nftables itself are all asked for every packet, and a DROP in any wins over an ACCEPT in
the others; so the choice is the host's: the flavour in which rules already stand, else the one that the host's own ``iptables`` command
speaks, and nftables itself where there is no iptables, or by choice. Once made it is kept; only ``CNM_FIREWALL`` changes it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace

from networks.cnm.errors import Conflict, Unsupported
from networks.cnm.names import Naming
from networks.cnm.text import NOTHING, Text, gettext_noop

from .backend import Backend
from .iptables import FLAVOURS, Iptables
from .nft import listing
from .nft.backend import NFTABLES, Nft

LEGACY, NFT = FLAVOURS
BACKENDS = (*FLAVOURS, NFTABLES)
_VERSION_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands in one flavour."""

    available: bool
    rules: int = 0
    ours: bool = False
    """Whether chains of our naming scheme stand there."""
    drops: bool = False
    """Whether it drops forwarded packets that no rule accepts (the policy of FORWARD; in nftables, of anybody's forward chain)."""
    user_rules: bool = False
    """Whether the administrator keeps rules in our user chain there."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The flavour that is written, why, and what is odd about it."""

    flavour: str
    reason: Text
    warning: Text = NOTHING


_STAYS = gettext_noop("Our rules stand in {flavour} already.")
_KEPT = gettext_noop("{flavour} was chosen before, and is kept.")
_ASKED = gettext_noop("CNM_FIREWALL asks for {flavour}.")
_ONLY = gettext_noop("{flavour} is the only flavour of iptables that is installed.")
_NO_IPTABLES = gettext_noop("No iptables is installed on this host: rules are written through {flavour} itself.")
_STANDING = gettext_noop("The host's rules stand in {flavour}.")
_COMMAND = gettext_noop("The host's own iptables command writes {flavour}.")
_DROPS = gettext_noop("{flavour} drops forwarded packets unless a rule there accepts them, so ours must stand there.")
_OTHER_DROPS = gettext_noop(
    "{other} drops forwarded packets that its own rules do not accept, whatever ours in {flavour} say: containers may be cut off."
)


def backend_of(flavour: str) -> Backend:
    """The backend of a flavour."""
    return Nft() if flavour == NFTABLES else Iptables(flavour)


def survey(naming: Naming) -> dict[str, Seen]:
    """What stands in each flavour. Looking makes no table."""
    return {flavour: _look(backend_of(flavour), naming) for flavour in BACKENDS}


def command_flavour() -> str:
    """The flavour of the host's ``iptables`` command; empty where there is none."""
    try:
        done = subprocess.run(
            ["iptables", "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return NFT if "nf_tables" in done.stdout else LEGACY


def choose(setting: str, seen: Mapping[str, Seen], command: str, names: str = "cnm", kept: str = "") -> Choice:
    """The flavour to write. Pure.

    *setting* is ``CNM_FIREWALL`` (``auto``, ``iptables`` or ``nftables``), *names* is ``CNM_NAMES``, *kept* is the flavour chosen before.
    Raises :class:`Unsupported` where nothing can be written as asked, :class:`Conflict` where what is forwarded would be dropped by
    another flavour, or where the administrator's own rules would be left behind.
    """
    choice = _choose(setting, seen, command, names, kept)
    _refuse_to_leave_user_rules(choice.flavour, seen)
    dropping = [flavour for flavour in BACKENDS if flavour != choice.flavour and seen[flavour].drops]
    if choice.flavour == NFTABLES and seen[NFTABLES].drops:
        dropping.append(NFTABLES)
    if not dropping:
        return choice
    return replace(choice, warning=Text.of(_OTHER_DROPS, flavour=choice.flavour, other=", ".join(dropping)))


def _choose(setting: str, seen: Mapping[str, Seen], command: str, names: str, kept: str) -> Choice:
    installed = [flavour for flavour in FLAVOURS if seen[flavour].available]
    if setting == NFTABLES:
        return _nftables_by_choice(seen, names)
    ours = [flavour for flavour in BACKENDS if seen[flavour].available and seen[flavour].ours]
    allowed = BACKENDS if setting == "auto" and names == "cnm" else FLAVOURS
    if len(ours) == 1 and ours[0] in allowed:
        return Choice(ours[0], Text.of(_STAYS, flavour=ours[0]))
    if not installed:
        return _without_iptables(setting, seen, names)
    if len(ours) != 1 and kept == NFTABLES and kept in allowed and seen[kept].available:
        _refuse_dropped(seen)
        return Choice(kept, Text.of(_KEPT, flavour=kept))
    if len(installed) == 1:
        return Choice(installed[0], Text.of(_ONLY, flavour=installed[0]))
    dropping = [flavour for flavour in installed if seen[flavour].drops]
    if len(dropping) > 1:
        raise Conflict(
            gettext_noop(
                "Both iptables-legacy and iptables-nft drop forwarded packets on this host (policy of FORWARD)."
            ),
            remedy=gettext_noop("Set the policy of one of them to ACCEPT: iptables-legacy -P FORWARD ACCEPT."),
        )
    if dropping:
        return Choice(dropping[0], Text.of(_DROPS, flavour=dropping[0]))
    if kept in installed:
        return Choice(kept, Text.of(_KEPT, flavour=kept))
    standing = [flavour for flavour in installed if seen[flavour].rules]
    if len(standing) == 1:
        return Choice(standing[0], Text.of(_STANDING, flavour=standing[0]))
    flavour = command if command in installed else NFT
    return Choice(flavour, Text.of(_COMMAND, flavour=flavour))


def _nftables_by_choice(seen: Mapping[str, Seen], names: str) -> Choice:
    if names != "cnm":
        raise Unsupported(
            gettext_noop("With Docker's names the rules are Docker's, and those are written through iptables."),
            remedy=gettext_noop("Set CNM_NAMES to cnm, or CNM_FIREWALL to iptables."),
            field="CNM_FIREWALL",
        )
    if not seen[NFTABLES].available:
        raise Unsupported(
            gettext_noop("The program nft is not installed on this host, or its kernel has no nf_tables."),
            remedy=gettext_noop("Install the package nftables, or set CNM_FIREWALL to iptables."),
            field="CNM_FIREWALL",
        )
    if seen[NFTABLES].ours:
        return Choice(NFTABLES, Text.of(_STAYS, flavour=NFTABLES))
    _refuse_dropped(seen)
    return Choice(NFTABLES, Text.of(_ASKED, flavour=NFTABLES))


def _without_iptables(setting: str, seen: Mapping[str, Seen], names: str) -> Choice:
    if setting == "auto" and names == "cnm" and seen[NFTABLES].available:
        return Choice(NFTABLES, Text.of(_NO_IPTABLES, flavour=NFTABLES))
    raise Unsupported(
        gettext_noop("No iptables is installed on this host."),
        remedy=gettext_noop("Install the package iptables, or set CNM_IPTABLES to false."),
    )


def _refuse_dropped(seen: Mapping[str, Seen]) -> None:
    """No ACCEPT in nftables wins over a DROP in iptables: a Docker Engine's policy would cut all containers off."""
    dropping = [flavour for flavour in FLAVOURS if seen[flavour].drops]
    if dropping:
        raise Conflict(
            gettext_noop(
                "{flavour} drops forwarded packets on this host (policy of FORWARD), whatever rules in nftables accept: a Docker Engine"
                " sets that policy."
            ),
            remedy=gettext_noop("Set CNM_FIREWALL to auto, or the policy to ACCEPT: {flavour} -P FORWARD ACCEPT."),
            field="CNM_FIREWALL",
            flavour=dropping[0],
        )


def _refuse_to_leave_user_rules(flavour: str, seen: Mapping[str, Seen]) -> None:
    """A move to another flavour takes ours along; the administrator's own are never written, and would not be asked any more."""
    left = [other for other in BACKENDS if other != flavour and seen[other].ours and seen[other].user_rules]
    if left:
        raise Conflict(
            gettext_noop(
                "Your own rules stand in the user chain of {other}; when ours move to {flavour}, nothing would ask them any more."
            ),
            remedy=gettext_noop(
                "Note them down and delete them there, start again, and add them to the user chain that stands in {flavour} then."
            ),
            field="CNM_FIREWALL",
            other=left[0],
            flavour=flavour,
        )


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


def _look(backend: Backend, naming: Naming) -> Seen:
    if not backend.available():
        return Seen(available=False)
    saved = backend.read(4)
    drops = any(chain.name == "FORWARD" and chain.policy == "DROP" for chain in saved.chains)
    first = f"-A {naming.user_chain} -j RETURN"
    return Seen(
        available=True,
        rules=len(saved.lines),
        ours=any(chain.name == naming.chain for chain in saved.chains),
        drops=drops or (backend.flavour == NFTABLES and listing.drops_forwarded()),
        user_rules=any(line.chain == naming.user_chain and line.text != first for line in saved.lines),
    )
