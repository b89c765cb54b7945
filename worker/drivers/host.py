"""The ``host`` network: a container on it shares the host's own network stack, so it needs nothing at all."""

from __future__ import annotations

from networks.cnm.text import gettext_noop

from .base import Driver


class HostDriver(Driver):
    name = "host"
    description = gettext_noop("The host's own network stack: no sandbox, no address of its own, no published ports.")
    attaches = False
