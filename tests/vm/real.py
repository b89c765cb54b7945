"""Hosts with real kernels that are namespaces of one machine: the reconciler, the database and the handlers, without processes.

Each is joined by a cable to a bridge outside, on which a stranger can be, too.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from networks.cnm.names import CNM_NAMING, sandbox_name
from networks.models import Container
from networks.sealing import unseal
from tests.kernel.rules_lab import backend
from tests.testlib.imagined import Imagined
from worker.apply.files import FilesHandler
from worker.apply.links import LinksHandler
from worker.apply.overlay import OverlayHandler
from worker.apply.rules import RulesHandler
from worker.apply.sysctls import SysctlsHandler
from worker.apply.xfrm import XfrmHandler
from worker.kernel.netns import Namespaces
from worker.machine import Machine

NETNS = Path("/run/netns")
OUTSIDE = NETNS / "outside"


def entering(namespace: Path | None) -> list[str]:
    """What a command begins with that runs in *namespace*; None: here."""
    return ["nsenter", f"--net={namespace}"] if namespace is not None else []


def run(*words: str, ns: Path | None = None, check: bool = True, timeout: float = 120) -> str:
    """What a command printed, run in the namespace *ns*."""
    inside = entering(ns)
    done = subprocess.run([*inside, *words], capture_output=True, text=True, timeout=timeout, check=False)
    assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@contextmanager
def within(ns: Path) -> Iterator[None]:
    """This thread in the namespace *ns*: what it opens and writes there is that host's."""
    there = os.open(ns, os.O_RDONLY)
    try:
        with Namespaces(NETNS).entered(there):
            yield
    finally:
        os.close(there)


def plug_in(name: str, address: str) -> Path:
    """A namespace with ``lo`` and a cable to the bridge outside."""
    if not OUTSIDE.exists():
        run("ip", "netns", "add", OUTSIDE.name)
        run("ip", "link", "add", "br0", "type", "bridge", ns=OUTSIDE)
        run("ip", "link", "set", "br0", "up", ns=OUTSIDE)
    run("ip", "netns", "add", name)
    there = NETNS / name
    cable = ("type", "veth", "peer", "name", "eth0", "netns", name)
    run("ip", "link", "add", name, "master", "br0", *cable, ns=OUTSIDE)
    run("ip", "link", "set", name, "up", ns=OUTSIDE)
    run("ip", "link", "set", "lo", "up", ns=there)
    run("ip", "link", "set", "eth0", "up", ns=there)
    run("ip", "address", "add", f"{address}/24", "dev", "eth0", ns=there)
    return there


class Real(Imagined):
    """One host, in a namespace of its name; its rules are written by the backend *flavour*."""

    def __init__(self, number: int, folder: Path, flavour: str) -> None:
        self._folder, self._flavour = folder / f"h{number}", flavour
        self._sandboxes = self._folder / "netns"
        for made in (self._folder / "ledger", self._sandboxes):
            made.mkdir(parents=True)
        self.ns = plug_in(f"h{number}", f"192.0.2.{10 + number}")
        super().__init__(number, embedded_dns=False)

    def machine(self) -> Machine:
        ledger = self._folder / "ledger"
        with within(self.ns):
            return Machine(
                [
                    LinksHandler(self._sandboxes, ledger),
                    OverlayHandler(),
                    XfrmHandler(lambda state: unseal(state.sealed, state.sender, state.receiver)),
                    SysctlsHandler(ledger_dir=ledger),
                    FilesHandler(self._folder),
                    RulesHandler(backend(self._flavour), CNM_NAMING, self._folder),
                ]
            )

    def work(self, most: int = 100) -> int:
        with within(self.ns):
            return super().work(most)

    def sandbox_of(self, container: str) -> Path:
        return self._sandboxes / sandbox_name(Container.objects.get(name=container).pk)

    def address_of(self, container: str, network: str = "app") -> str:
        endpoint = Container.objects.get(name=container).endpoints.get(network__name=network)
        return endpoint.ipv4.partition("/")[0]
