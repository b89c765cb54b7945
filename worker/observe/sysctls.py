"""The sysctls that we look after, with the values that they have now."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from networks.cnm.resources import Key, Sysctl
from worker.kernel import sysctl
from worker.kernel.ledger import Ledger


def observe_sysctls(keys: Collection[Key] | None, ledger: Ledger) -> Iterator[Sysctl]:
    """Those of *keys* (None: all) that the ledger says we look after.

    A sysctl always has some value; being in the ledger is what makes one exist as a resource of ours.
    """
    for name in ledger.entries():
        resource = Sysctl(name=name, value=sysctl.read(name) or "")
        if keys is None or resource.key in keys:
            yield resource
