"""The ``none`` network: a container on it has a sandbox with nothing but ``lo`` in it."""

from __future__ import annotations

from networks.cnm.text import gettext_noop

from .base import Driver


class NullDriver(Driver):
    name = "null"
    description = gettext_noop("No network: a sandbox with nothing but the loopback device.")
    attaches = False
