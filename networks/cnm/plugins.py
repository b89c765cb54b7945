"""Plugins of a host: programs of others that speak Docker's plugin protocol, as the host's worker last saw them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .text import NOTHING, Text

NETWORK_DRIVER, IPAM_DRIVER = "NetworkDriver", "IpamDriver"
"""What a plugin may implement that concerns networks (Docker, ``docs/extend/plugin_api.md``)."""
PLUGIN_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z", re.IGNORECASE)
"""What a plugin may be called: it is a part of a path, and the name of a driver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plugin that was found in the host's folders."""

    name: str
    address: str
    """Where it listens: ``unix:///run/docker/plugins/weave.sock``, ``https://192.0.2.7:8080``."""
    implements: tuple[str, ...] = ()
    """What it said to be; empty while it has never answered."""
    scope: str = "local"
    """Of its networks: ``local`` (each on one host) or ``global``."""
    connectivity: str = "local"
    """``global``: it joins hosts itself, and wants to be told of all of them."""
    problem: Text = NOTHING
    """Why it is degraded; nothing while it answers."""
    since: str = ""
    """Since when (ISO 8601)."""
    owed: int = 0
    """How many things it made for us are gone without its knowledge: it is told when it answers again."""

    @property
    def degraded(self) -> bool:
        return bool(self.problem)

    def may_be(self, kind: str) -> bool:
        """Whether it implements *kind*, or has never said what it does."""
        return kind in self.implements or not self.implements

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"implements": list(self.implements), "problem": self.problem.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plugin:
        known = {name: value[name] for name in cls.__slots__ if name in value}
        known["implements"] = tuple(known.get("implements", ()))
        known["problem"] = Text.from_json(known["problem"]) if known.get("problem", {}).get("template") else NOTHING
        return cls(**known)
