"""The handler of bridges, VLAN sub-interfaces, sandboxes, veths, addresses and routes."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from networks.cnm.plan import Action, Step
from networks.cnm.resources import Address, Bridge, Key, Resource, Vlan
from worker.handler import Done
from worker.kernel.ledger import Ledger
from worker.kernel.netlink import Netlink
from worker.kernel.netns import Namespaces
from worker.observe.links import LinksObserver

from .batch import not_tried, refused
from .bridges import Bridges
from .sandboxes import Sandboxes, sandbox_of
from .vlans import Vlans

KINDS = frozenset({"bridge", "vlan", "sandbox", "veth", "macvlan", "ipvlan", "interface", "address", "route"})


class LinksHandler:
    """Reads and writes a host's links in the network namespace in which it was made.

    *netns_dir* is where named namespaces are bound; *ledger_dir* where it is kept what a bridge of somebody else was
    like. Not for several threads: it enters sandboxes for moments.
    """

    kinds = KINDS

    def __init__(self, netns_dir: str | Path = "/run/netns", ledger_dir: str | Path = "/run/cnm/ledger") -> None:
        self._host = Netlink()
        namespaces = Namespaces(Path(netns_dir))
        ledger = Ledger(Path(ledger_dir) / "links.json")
        self._observer = LinksObserver(self._host, namespaces, ledger)
        self._bridges = Bridges(self._host, ledger)
        self._vlans = Vlans(self._host)
        self._sandboxes = Sandboxes(self._host, namespaces, ledger)

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """What of *keys* exists now; None: everything of ours (see :mod:`worker.observe.links` for what that is)."""
        return self._observer.observe(keys)

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """Carry out *steps*: removals first, from the inside out, then VLANs and bridges, then one sandbox after the other.

        Raises a CnmError whose ``facts["key"]`` names the step that failed; what the kernel did of the other steps is
        reported.
        """
        vlans = [step for step in steps if isinstance(step.resource, Vlan)]
        removals = [step for step in steps if step.after is None and not isinstance(step.resource, Vlan)]
        writes = [step for step in steps if step.after is not None and not isinstance(step.resource, Vlan)]
        _carry_out(self._sandboxes, [step for step in removals if not _on_host(step)], done, removal=True)
        _carry_out(self._bridges, [step for step in removals if _on_host(step)], done, removal=True)
        _carry_out(self._vlans, [step for step in vlans if step.after is None], done, removal=True)
        _carry_out(self._vlans, [step for step in vlans if step.after is not None], done, removal=False)
        _carry_out(self._bridges, [step for step in writes if _on_host(step)], done, removal=False)
        by_sandbox: dict[str, list[Step]] = {}
        for step in writes:
            if not _on_host(step):
                by_sandbox.setdefault(sandbox_of(step), []).append(step)
        for own in by_sandbox.values():
            _carry_out(self._sandboxes, own, done, removal=False)


def _on_host(step: Step) -> bool:
    resource = step.resource
    return isinstance(resource, Bridge) or (isinstance(resource, Address) and not resource.sandbox)


def _carry_out(writer: Bridges | Vlans | Sandboxes, steps: Sequence[Step], done: Done, *, removal: bool) -> None:
    """Have *steps* written and report those that the kernel carried out; the first error is raised.

    A creation that failed half-way, or was given up together with one that failed, leaves nothing: it counts as not
    done.
    """
    if not steps:
        return
    try:
        unfinished = writer.remove(steps) if removal else writer.write(steps)
    except OSError as error:  # the socket itself: nothing is known of any step
        unfinished = not_tried(steps) | {id(steps[0]): refused(steps[0], error.errno or 0)}
    for step in steps:
        if id(step) not in unfinished:
            done(step)
    if unfinished:
        created = [step.inverse() for step in steps if id(step) in unfinished and step.action is Action.CREATE]
        with contextlib.suppress(OSError):
            writer.remove(created)
        raise next(error for error in unfinished.values() if error is not None)
