"""Puts the parts of a host's worker together from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from networks.cnm.names import Naming
from networks.cnm.text import Text, gettext_noop
from networks.load import load_settings
from networks.models import Host
from networks.sealing import unseal

from .apply.files import FilesHandler
from .apply.handed import HandedHandler
from .apply.leftovers import LeftoversHandler
from .apply.links import LinksHandler
from .apply.names import NamesHandler
from .apply.overlay import OverlayHandler
from .apply.plugins import PluginsHandler
from .apply.ports import PortsHandler
from .apply.processes import ProcessesHandler
from .apply.rules import RulesHandler
from .apply.sysctls import SysctlsHandler
from .apply.xfrm import XfrmHandler
from .firewall.backend import Backend
from .firewall.flavour import BACKENDS, Choice, backend_of, choose, command_flavour, refuse_docker_engine, survey
from .firewall.name_server import leader
from .firewall.none import NONE, NoRules
from .machine import Machine
from .plugins.plugins import Plugins
from .plugins.told import Ledger
from .runtime_of_host import build_runtime

NO_RULES = Choice(NONE, Text.of(gettext_noop("CNM_IPTABLES is false, and no program that writes rules is installed.")))


@dataclass(frozen=True, slots=True)
class Parts:
    """The handlers of one host, and those among them that are asked for more than resources."""

    machine: Machine
    rules: RulesHandler
    processes: ProcessesHandler
    files: FilesHandler
    firewall: Choice
    plugins: Plugins
    told: PluginsHandler


def build(host: Host, firewall: Choice | None = None) -> Parts:
    """The parts of *host*; *firewall* is chosen where it is not given.

    Raises Conflict or Unsupported where the host's rules cannot be written, saying why.
    """
    naming = load_settings(host).naming
    ledger = settings.RUN_DIR / "ledger"
    ledger.mkdir(mode=0o700, parents=True, exist_ok=True)
    firewall = firewall or choose_firewall(host)
    backend = NoRules() if firewall.flavour == NONE else backend_of(firewall.flavour)
    rules = RulesHandler(backend, naming, settings.RUN_DIR)
    processes = ProcessesHandler(build_runtime())
    files = FilesHandler(settings.STATE_DIR)
    folders = [Path(folder) for folder in settings.PLUGIN_FOLDERS]
    plugins = Plugins(folders, settings.PLUGIN_TIMEOUT_S, settings.DOCKER_PLUGIN)
    told = PluginsHandler(plugins, Ledger(settings.STATE_DIR / "plugins"))
    machine = Machine(
        [
            LinksHandler(ledger_dir=ledger),
            HandedHandler(),
            OverlayHandler(),
            XfrmHandler(lambda state: unseal(state.sealed, state.sender, state.receiver)),
            SysctlsHandler(ledger_dir=ledger),
            files,
            PortsHandler(holder_socket()),
            NamesHandler(opener_socket(), leader(firewall.flavour, naming)),
            rules,
            LeftoversHandler(_others(naming, firewall.flavour), naming, settings.RUN_DIR),
            processes,
            told,
        ]
    )
    return Parts(machine, rules, processes, files, firewall, plugins, told)


def _others(naming: Naming, flavour: str) -> list[Backend]:
    """The backends in which rules of ours are left behind when another is chosen.

    With Docker's names nothing but the ledger tells ours from an engine's, so none of them is looked at.
    """
    return [backend_of(other) for other in BACKENDS if naming.comments and flavour not in {other, NONE}]


def choose_firewall(host: Host) -> Choice:
    """The flavour of rules that this host's worker writes: chosen once, then kept while our rules stand there."""
    wanted = load_settings(host)
    seen = survey(wanted.naming)
    if not wanted.iptables and not any(flavour.available for flavour in seen.values()):
        return NO_RULES
    firewall = choose(wanted.firewall, seen, command_flavour(), wanted.names, host.firewall_backend)
    if wanted.naming.key == "docker":
        known = (settings.RUN_DIR / "ledger" / "rules.json").exists()
        refuse_docker_engine(wanted.naming, firewall.flavour, int(known))
    return firewall


def holder_socket() -> Path:
    return Path(settings.RUN_DIR) / "holder.sock"


def opener_socket() -> Path:
    """Where the DNS server's opener listens."""
    return Path(settings.RUN_DIR) / "dns.sock"
