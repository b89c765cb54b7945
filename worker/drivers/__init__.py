"""The registry of network drivers. Pure: a driver sees desired state and facts, never a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from networks.cnm.options import NetworkOptions

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


def is_plugin(name: str) -> bool:
    """Whether the driver *name* is none of ours: a plugin's networks name the plugin as their driver, as in Docker."""
    return name not in DRIVERS


@lru_cache(maxsize=256)
def _of_plugin(name: str) -> Driver:
    return RemoteDriver(name)


def driver(name: str) -> Driver:
    """The driver called *name*: one of ours, or that of the plugin of this name, which may not be there; its ``check`` tells."""
    return DRIVERS.get(name) or _of_plugin(name)


def read_network_options(name: str, options: Mapping[str, str]) -> NetworkOptions:
    """What *options* mean to the driver *name*. Raises :class:`networks.cnm.errors.InvalidSpec`."""
    return driver(name).read_options(options)


__all__ = ["DRIVERS", "Attachment", "Driver", "Surroundings", "driver", "is_plugin", "read_network_options"]
