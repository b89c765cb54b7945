"""The handler of sysctls: each gets its old value back when nobody needs it any more and it still holds ours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from networks.cnm.plan import Step
from networks.cnm.resources import Key, Resource, Sysctl
from worker.handler import Done
from worker.kernel import modules, sysctl
from worker.kernel.ledger import Ledger
from worker.observe.sysctls import observe_sysctls

from .batch import refused


class SysctlsHandler:
    """Reads and writes sysctls of the host's own network namespace; *ledger_dir* keeps the values from before us."""

    kinds = frozenset({"sysctl"})

    def __init__(self, ledger_dir: str | Path = "/run/cnm/ledger") -> None:
        self._ledger = Ledger(Path(ledger_dir) / "sysctls.json")

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """The sysctls of *keys* (None: all) that we look after."""
        return tuple(observe_sysctls(keys, self._ledger))

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """Carry out *steps*. Raises KernelRefused where this kernel does not have the sysctl or refuses the value."""
        for step in steps:
            try:
                self._write(step)
            except (OSError, ValueError) as error:
                raise refused(step, getattr(error, "errno", None) or 0, str(error)) from error
            done(step)

    def _write(self, step: Step) -> None:
        resource = step.resource
        assert isinstance(resource, Sysctl)  # noqa: S101  # the only kind of this handler
        if step.after is None:
            self._give_back(resource, sysctl.read(resource.name))
            return
        modules.load_for_sysctl(resource.name)
        now = sysctl.read(resource.name)
        if now is None:
            raise FileNotFoundError(2, f"this kernel has no sysctl {resource.name}")
        kept = self._ledger.get(resource.name)
        # Written before the kernel is: a worker that dies in between still knows the old value.
        self._ledger.put(resource.name, {"old": kept["old"] if kept else now, "ours": resource.value})
        if now != resource.value:
            try:
                sysctl.write(resource.name, resource.value)
            except OSError:
                if kept:
                    self._ledger.put(resource.name, kept)
                else:
                    self._ledger.drop(resource.name)
                raise

    def _give_back(self, resource: Sysctl, now: str | None) -> None:
        kept = self._ledger.get(resource.name)
        if kept and now == kept["ours"] != kept["old"]:
            sysctl.write(resource.name, kept["old"])
        self._ledger.drop(resource.name)
