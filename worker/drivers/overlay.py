"""Overlay networks: one network across several hosts, by VXLAN. Registered, and not built yet."""

from __future__ import annotations

from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.text import gettext_noop

from .base import Driver


class OverlayDriver(Driver):
    name = "overlay"
    description = gettext_noop("One network across several hosts, carried by VXLAN.")

    def availability(self, facts: HostFacts) -> Unsupported | None:
        return Unsupported(
            gettext_noop("The overlay driver is not built in this version: no network can span several hosts yet."),
            remedy=gettext_noop("Make a bridge network on each host, and route between them."),
            field="driver",
        )
