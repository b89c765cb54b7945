"""Networks of a plugin of somebody else's, spoken to by Docker's remote driver protocol. Registered, and not built yet."""

from __future__ import annotations

from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.text import gettext_noop

from .base import Driver


class RemoteDriver(Driver):
    name = "remote"
    description = gettext_noop("A network plugin, reached by Docker's remote driver protocol.")

    def availability(self, facts: HostFacts) -> Unsupported | None:
        return Unsupported(
            gettext_noop("The remote driver is not built in this version: network plugins cannot be called yet."),
            remedy=gettext_noop("Use the bridge driver, or adopt a network namespace that the plugin has prepared."),
            field="driver",
        )
