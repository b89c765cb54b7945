"""Ipvlan networks: containers in the host's own LAN with the MAC of the host's device. Registered, and not built yet."""

from __future__ import annotations

from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.text import gettext_noop

from .base import Driver, lacks


class IpvlanDriver(Driver):
    name = "ipvlan"
    description = gettext_noop("Containers with addresses of the host's own LAN, and its MAC.")
    joins_lan = True
    options = frozenset({"parent", "mtu", "iface_prefix"})

    def availability(self, facts: HostFacts) -> Unsupported | None:
        return lacks(facts, "link.ipvlan", "driver") or Unsupported(
            gettext_noop("The ipvlan driver is not built in this version: macvlan is."),
            remedy=gettext_noop("Use the macvlan driver, where the LAN takes a MAC for each container."),
            field="driver",
        )
