"""Hosts whose kernels are imagined: the real reconciler and the real database, and memory in the place of a kernel.

For what several hosts do to one another by the database, in any order. What a kernel really does is shown elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_interface
from types import SimpleNamespace
from typing import Any

from django.utils import timezone

from networks import settle
from networks.cnm.facts import Feature, HostFacts
from networks.cnm.plan import Step
from networks.cnm.resources import Key, Resource, XfrmPolicy, XfrmState
from networks.models import Host
from networks.plugin_answers import Answers
from networks.services import networks
from networks.services.images import ensure_host_image
from worker.claim import claim_next, requeue_interrupted
from worker.handler import Done
from worker.machine import Machine
from worker.order import _CREATE
from worker.reconcile import Reconciler
from worker.scope import WHOLE_KINDS, Scope


class Memory:
    """A kernel: it holds what it is told. Of what encrypts it remembers which keys it ever had to send by."""

    def __init__(self) -> None:
        self.held: dict[Key, Resource] = {}
        self.sent_by: list[str] = []

    def machine(self) -> Machine:
        return Machine([_Part(self, WHOLE_KINDS), _Part(self, frozenset(_CREATE) - WHOLE_KINDS)])

    @property
    def states(self) -> dict[tuple[str, str, int], str]:
        """(source, destination, SPI) -> fingerprint."""
        found = [item for item in self.held.values() if isinstance(item, XfrmState)]
        return {(str(item.source), str(item.destination), item.spi): item.fingerprint for item in found}

    def sends_by(self, source: str, destination: str) -> tuple[str, str, int] | None:
        """The state that packets to *destination* go by; None: they are dropped."""
        for item in self.held.values():
            if isinstance(item, XfrmPolicy) and item.spi and str(item.destination.network_address) == destination:
                found = (source, destination, item.spi)
                return found if found in self.states else None
        return None


class _Part:
    """The handler of some kinds."""

    def __init__(self, memory: Memory, kinds: frozenset[str]) -> None:
        self._memory = memory
        self.kinds = kinds

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        held = self._memory.held
        wanted = [key for key in held if key[0] in self.kinds] if keys is None else keys
        return [_as_seen(held[key]) for key in wanted if key in held]

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        for step in steps:
            if step.after is None:
                self._memory.held.pop(step.key, None)
            else:
                self._memory.held[step.key] = step.after
                if isinstance(step.after, XfrmState) and step.after.outgoing:
                    self._memory.sent_by.append(step.after.fingerprint)
            done(step)


def _as_seen(resource: Resource) -> Resource:
    """Without what a kernel does not know."""
    if isinstance(resource, XfrmState):
        return replace(resource, association=0, sealed="", burnt=False, outgoing=False, sender="", receiver="")
    return resource


class Imagined:
    """One host: its row, its kernel, and a worker that works when it is told to."""

    def __init__(self, number: int, **settings: object) -> None:
        self.name, self.address = f"h{number}", f"192.0.2.{10 + number}"
        facts = HostFacts(
            version="1",
            hostname=self.name,
            addresses=(("eth0", ip_interface(f"{self.address}/24")),),
            default_device="eth0",
            mtus=(("eth0", 1500),),
            features=(Feature(key="esp", present=True), Feature(key="link.vxlan", present=True)),
        )
        self.row = Host.objects.create(
            name=self.name,
            settings={"names": "cnm", **settings},
            facts=facts.to_json(),
            underlay=self.address,
            underlay_room=1450,
        )
        self.speak()
        networks.ensure_defaults(self.row)
        ensure_host_image(self.row)
        self.kernel = Memory()
        self._worker()

    def _worker(self) -> None:
        no_processes: Any = SimpleNamespace(remove_container=lambda container: None)
        no_files: Any = SimpleNamespace(seen_one=lambda file: "", seen=dict)
        no_plugins: Any = SimpleNamespace(answers=Answers)
        self.reconciler = Reconciler(self.row, self.machine(), no_processes, no_files, no_plugins)

    def machine(self) -> Machine:
        return self.kernel.machine()

    def speak(self, *, alive: bool = True) -> None:
        """Be heard of from now on, or be silent."""
        heard = timezone.now() + timedelta(hours=1 if alive else -1)
        Host.objects.filter(pk=self.row.pk).update(heartbeat_at=heard)
        self.row.heartbeat_at = heard

    def work(self, most: int = 100) -> int:
        """Carry out what waits, one after the other; how many."""
        for count in range(most):
            operation = claim_next(self.row, "kernel")
            if operation is None:
                return count
            self.reconciler.run(operation)
        return most

    def reboot(self) -> None:
        """Its kernel forgets everything, and its worker starts."""
        self.kernel.held.clear()
        self._worker()
        requeue_interrupted(self.row, "kernel")
        compiled = self.reconciler.compile()
        if self.reconciler.plan(compiled, Scope(everything=True)):
            self.reconciler.run(settle.open_operation(self.row, "host.start", scope={"all": True}))
        else:
            self.reconciler.remember_all(compiled)
            self.reconciler.settle_all(compiled)

    def lose_keys(self) -> None:
        """Somebody flushes the states of its kernel."""
        self.kernel.held = {key: item for key, item in self.kernel.held.items() if not isinstance(item, XfrmState)}

    def reaches(self, other: Imagined) -> bool:
        """Whether what it sends to *other* is encrypted by a key that is there too."""
        state = self.kernel.sends_by(self.address, other.address)
        return state is not None and other.kernel.states.get(state) == self.kernel.states[state]
