"""Macvlan networks: containers that stand in the host's own LAN. Registered, and not built yet."""

from __future__ import annotations

from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.text import gettext_noop

from .base import Driver


class MacvlanDriver(Driver):
    name = "macvlan"
    description = gettext_noop("Containers with addresses of the host's own LAN, on a device of the host.")

    def availability(self, facts: HostFacts) -> Unsupported | None:
        return Unsupported(
            gettext_noop("The macvlan driver is not built in this version: containers cannot join the host's LAN yet."),
            remedy=gettext_noop("Use a bridge network in gateway mode routed, and route its subnet to this host."),
            field="driver",
        )
