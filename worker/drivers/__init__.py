"""The registry of network drivers. Pure: a driver sees desired state and facts, never a kernel."""

from __future__ import annotations

from networks.cnm.errors import Unsupported
from networks.cnm.text import gettext_noop

from .base import Attachment, Driver, Surroundings
from .bridge import BridgeDriver
from .host import HostDriver
from .ipvlan import IpvlanDriver
from .macvlan import MacvlanDriver
from .null import NullDriver
from .overlay import OverlayDriver
from .remote import RemoteDriver

DRIVERS: dict[str, Driver] = {
    driver.name: driver
    for driver in (
        BridgeDriver(),
        HostDriver(),
        NullDriver(),
        OverlayDriver(),
        RemoteDriver(),
        MacvlanDriver(),
        IpvlanDriver(),
    )
}
"""Every driver by the name that a request gives."""


def driver(name: str) -> Driver:
    """The driver called *name*. Raises :class:`Unsupported`, naming those there are."""
    try:
        return DRIVERS[name]
    except KeyError:
        raise Unsupported(
            gettext_noop("There is no network driver called {name}."),
            remedy=gettext_noop("Choose one of {known}."),
            field="driver",
            name=name,
            known=", ".join(DRIVERS),
        ) from None


__all__ = ["DRIVERS", "Attachment", "Driver", "Surroundings", "driver"]
