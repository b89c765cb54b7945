"""The backend of a host on which no rules are written (``CNM_IPTABLES=false``) and none could be."""

from __future__ import annotations

from networks.cnm.errors import Unsupported
from networks.cnm.iptables_text import Saved
from networks.cnm.text import gettext_noop

from .backend import Script
from .iptables import FLAVOURS, Iptables

NONE = "none"


class NoRules(Iptables):
    """Holds nothing and takes nothing."""

    def __init__(self) -> None:
        super().__init__(FLAVOURS[-1])
        self.flavour = NONE

    def available(self, family: int = 4) -> bool:
        return False

    def read(self, family: int, *, counters: bool = False) -> Saved:
        return Saved(family)

    def write(self, family: int, script: Script) -> None:
        raise Unsupported(
            gettext_noop("No program that writes rules is installed on this host."),
            remedy=gettext_noop("Install the package iptables."),
        )
