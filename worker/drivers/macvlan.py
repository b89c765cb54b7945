"""Macvlan networks: containers that stand in the host's own LAN, each with a MAC of its own on a device of the host."""

from __future__ import annotations

from typing import Any

from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.resources import Macvlan
from networks.cnm.text import gettext_noop

from .base import Attachment, lacks, mac_of
from .lan import LanDriver


class MacvlanDriver(LanDriver):
    """Docker's ``macvlan`` driver, in its modes bridge and private."""

    name = "macvlan"
    description = gettext_noop("Containers with addresses of the host's own LAN, on a device of the host.")
    options = frozenset({"parent", "macvlan_mode", "mtu", "iface_prefix"})

    def availability(self, facts: HostFacts) -> Unsupported | None:
        return lacks(facts, "link.macvlan", "driver")

    def on_parent(self, attachment: Attachment, **common: Any) -> Macvlan:
        return Macvlan(mode=attachment.network.options.macvlan_mode, mac=mac_of(attachment.endpoint), **common)
