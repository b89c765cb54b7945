"""The plugins of this host: found in their folders, activated when first seen, each with its breaker."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from networks.cnm.errors import CnmError, NotFound, PluginRefused, Unavailable
from networks.cnm.plugins import IPAM_DRIVER, NETWORK_DRIVER
from networks.cnm.plugins import Plugin as Seen
from networks.cnm.text import NOTHING, Text, gettext_noop

from .breaker import Breaker
from .call import Malformed, Refused, Unheard, call, reach
from .find import Address, find_plugins

log = logging.getLogger(__name__)

PROBE_S = 1.0
"""How long a plugin may take to say what it is, when nobody waits for it but the rest of the host."""
REACH_S = 0.25
"""How long it may take to be connected to one that is well."""

_SILENT = gettext_noop("It does not answer: {cause}.")
_BABBLES = gettext_noop("It answers otherwise than the protocol says: {cause}.")
_UNREADABLE = gettext_noop("The file that names it cannot be used: {cause}.")
_GONE = gettext_noop("It is in none of the folders of plugins any more.")


@dataclass(slots=True)
class Plugin:
    """One plugin, with what it said of itself."""

    address: Address
    timeout_s: float
    breaker: Breaker = field(default_factory=Breaker)
    implements: tuple[str, ...] = ()
    capabilities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What it implements -> its answer to ``GetCapabilities``."""
    gone: bool = False
    """Whether no folder names it any more; it stays known while something of ours is with it."""
    problem: Text = NOTHING
    since: str = ""
    _babbled: str = ""
    """The method that it answered otherwise than the protocol says: it is well again when it answers that one."""

    @property
    def name(self) -> str:
        return self.address.name

    @property
    def forgets(self) -> bool:
        """Whether it keeps no ranges and addresses beyond its own end, and wants to be asked for them again."""
        return self.capabilities.get(IPAM_DRIVER, {}).get("RequiresRequestReplay") is True

    @property
    def checks_gateways(self) -> bool:
        """Whether it says for each network if that needs a gateway."""
        return self.capabilities.get(NETWORK_DRIVER, {}).get("GwAllocChecker") is True

    def ask(self, method: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What it answers to *method*. Raises :class:`Unavailable` where it was not heard to answer, :class:`PluginRefused` where it
        was."""
        if not self.breaker.lets_through():
            raise self._silent(method, self.breaker.reason)
        return self._asked(method, body, self.timeout_s)

    def look(self) -> None:
        """Find out whether it is well, as far as its breaker lets us: one that was is connected to, another says anew what it is."""
        if self.gone:
            self.degrade(Text.of(_GONE))
        elif self.address.fault:
            self.degrade(Text.of(_UNREADABLE, cause=self.address.fault))
        elif self.implements and self.breaker.is_closed:
            try:
                reach(self.address, REACH_S)
            except Unheard as error:
                self._fell_silent(str(error))
        elif self.breaker.lets_through():
            try:
                self.activate(PROBE_S)
            except CnmError as error:
                log.info("plugin %s is not well: %s", self.name, error)

    def activate(self, timeout_s: float = 0.0) -> None:
        """Have it say what it is and what it can do."""
        within_s = timeout_s or self.timeout_s
        said = self._asked("Plugin.Activate", None, within_s)
        implements = said.get("Implements")
        if not isinstance(implements, list) or not implements:
            raise self.babbles("Plugin.Activate", "it implements nothing")
        kinds = tuple(str(kind) for kind in implements)
        able = {}
        for kind in (NETWORK_DRIVER, IPAM_DRIVER):
            if kind in kinds:
                able[kind] = self._capabilities(kind, within_s)
        self.implements, self.capabilities = kinds, able

    def _capabilities(self, kind: str, within_s: float) -> dict[str, Any]:
        try:
            return self._asked(f"{kind}.GetCapabilities", None, within_s)
        except PluginRefused:
            if kind == NETWORK_DRIVER:
                raise
            return {}  # an IPAM plugin need not have any (libnetwork, docs/ipam.md)

    def _asked(self, method: str, body: Mapping[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        if self.address.fault:
            raise self._silent(method, self.address.fault)
        try:
            answer = call(self.address, method, body, timeout_s)
        except Unheard as error:
            self._fell_silent(str(error))
            raise self._silent(method, str(error)) from error
        except Malformed as error:
            raise self.babbles(method, str(error)) from error
        except Refused as error:
            self._is_well("")
            raise self.refusal(method, str(error), unknown=error.unknown) from error
        self._is_well(method)
        return answer

    def refusal(self, method: str, words: str, *, unknown: bool = False) -> PluginRefused:
        """The error for a call that it refused."""
        return PluginRefused(
            gettext_noop("The plugin {plugin} refused {method}: {words}"),
            remedy=gettext_noop("Do what it says, or look into its log; then try again."),
            subject=f"plugin {self.name}",
            facts={"plugin": self.name, "method": method, "unknown": unknown},
            plugin=self.name,
            method=method,
            words=words or "-",
        )

    def babbles(self, method: str, cause: str) -> PluginRefused:
        """The error for an answer that means nothing; the plugin counts as degraded from now on. It is asked on, for it answers at
        once, and may be told to forget what it made of the question."""
        self._babbled = method
        self.degrade(Text.of(_BABBLES, cause=f"{method}: {cause}"))
        return PluginRefused(
            gettext_noop("The plugin {plugin} answered {method} otherwise than the protocol says: {cause}."),
            remedy=gettext_noop("Look into the plugin's log, and for a newer version of it; then try again."),
            subject=f"plugin {self.name}",
            facts={"plugin": self.name, "method": method},
            plugin=self.name,
            method=method,
            cause=cause,
        )

    def _silent(self, method: str, cause: str) -> Unavailable:
        return Unavailable(
            gettext_noop("The plugin {plugin} does not answer {method}: {cause}."),
            remedy=gettext_noop("Start it, or start it anew; then try again."),
            subject=f"plugin {self.name}",
            facts={"plugin": self.name, "method": method},
            plugin=self.name,
            method=method,
            cause=cause,
        )

    def _fell_silent(self, cause: str) -> None:
        self.breaker.failed(cause)
        self.degrade(Text.of(_SILENT, cause=cause))

    def degrade(self, problem: Text) -> None:
        """It is not well, for all to see, until it answers again."""
        if not self.since:
            self.since = datetime.now(UTC).isoformat(timespec="seconds")
        self.problem = problem

    def _is_well(self, method: str) -> None:
        self.breaker.worked()
        if self._babbled in {"", method}:
            self.problem, self.since, self._babbled = NOTHING, "", ""

    def seen(self, owed: int) -> Seen:
        """What the host's facts say of it."""
        able = self.capabilities.get(NETWORK_DRIVER, {})
        return Seen(
            name=self.name,
            address=self.address.url,
            implements=self.implements,
            scope=_scope(able.get("Scope")),
            connectivity=_scope(able.get("ConnectivityScope") or able.get("Scope")),
            problem=self.problem,
            since=self.since,
            owed=owed,
        )


def _scope(value: Any) -> str:
    return "global" if value == "global" else "local"


class Plugins:
    """All of them. Not for several threads."""

    def __init__(self, folders: Sequence[Path], timeout_s: float, besides: str = "") -> None:
        self._folders = folders
        self._besides = besides
        self._timeout_s = timeout_s
        self._known: dict[str, Plugin] = {}

    def known(self, name: str) -> Plugin | None:
        """The plugin called *name* as it was last seen; nobody is asked."""
        return self._known.get(name)

    def named(self, name: str) -> Plugin:
        """The plugin called *name*, activated. Raises :class:`NotFound`, or what its activation raises."""
        self.find()
        plugin = self._known.get(name)
        if plugin is None or plugin.gone:
            raise NotFound(
                gettext_noop("There is no plugin called {plugin}: none of {folders} names it."),
                remedy=gettext_noop(
                    "Start the plugin, or put the file there that says where it listens; then try again."
                ),
                subject=f"plugin {name}",
                facts={"plugin": name},
                plugin=name,
                folders=", ".join(map(str, self._folders)),
            )
        if not plugin.implements and plugin.breaker.lets_through():
            plugin.activate()
        return plugin

    def find(self) -> None:
        """Look into the folders."""
        found = find_plugins(self._folders, self._besides)
        for name, address in found.items():
            known = self._known.get(name)
            if (
                known is None or known.gone or known.address != address
            ):  # started anew: what it was like says nothing of it
                self._known[name] = Plugin(address, self._timeout_s)
        for name, plugin in self._known.items():
            plugin.gone = name not in found

    def look(self, owed: Mapping[str, int]) -> tuple[Seen, ...]:
        """What the host's facts say of all plugins. *owed*: how much each is owed; those that hold something for us are named in any
        case, and stay known when no folder names them any more."""
        self.find()
        for name in owed:
            self._known.setdefault(name, Plugin(Address(name=name), self._timeout_s, gone=True))
        for name in [name for name, plugin in self._known.items() if plugin.gone and name not in owed]:
            del self._known[name]
        for plugin in self._known.values():
            plugin.look()
        return self.seen(owed)

    def seen(self, owed: Mapping[str, int]) -> tuple[Seen, ...]:
        """The same as it is known by now; nobody is asked."""
        return tuple(plugin.seen(owed.get(name, 0)) for name, plugin in sorted(self._known.items()))
