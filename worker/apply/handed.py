"""The handler of links whose other end is somebody else's to take."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Sequence

from networks.cnm.errors import CnmError, Conflict
from networks.cnm.plan import Step
from networks.cnm.resources import HandedVeth, Key, Resource
from networks.cnm.text import gettext_noop
from worker.handler import Done
from worker.kernel import rtnl, sysctl
from worker.kernel.netlink import Netlink
from worker.kernel.rtnl import Link
from worker.observe.handed import HandedObserver
from worker.observe.links import HANDED, is_handed

from .batch import Batch, refused

KINDS = frozenset({"handed"})
_HERE = "/proc/self/ns/net"


class HandedHandler:
    """Reads and writes handed links, in the namespace in which it was made. Both ends are born there; the inner one is left down, so
    that nobody speaks through it before its new owner has moved it."""

    kinds = KINDS

    def __init__(self) -> None:
        self._host = Netlink()
        self._observer = HandedObserver(self._host)
        self._here = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """What of *keys* exists now; None: everything of ours."""
        return self._observer.observe(keys)

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """Carry out *steps*, removals first. Raises a CnmError whose ``facts["key"]`` names the step that failed."""
        for step in sorted(steps, key=lambda step: step.after is not None):
            if isinstance(step.after, HandedVeth):
                self._write(step, step.after)
            else:
                self._remove(step)
            done(step)

    def _remove(self, step: Step) -> None:
        link = self._link(step.resource.key[1])
        if link is not None and is_handed(link):
            batch = Batch(self._host)
            batch.add(step, rtnl.delete_link(link.name), fine=(errno.ENODEV,))
            _raise_first(batch.send())

    def _write(self, step: Step, wanted: HandedVeth) -> None:
        link, bridge = self._link(wanted.name), self._link(wanted.bridge)
        if bridge is None or bridge.kind != "bridge":
            raise refused(step, errno.ENODEV, f"there is no bridge {wanted.bridge}")
        if link is not None and not is_handed(link):
            raise _in_the_way(wanted)
        batch = Batch(self._host)
        if link is None:
            born = rtnl.create_veth(
                wanted.name,
                master=bridge.index,
                mtu=wanted.mtu,
                peer=wanted.inner,
                peer_mac=wanted.mac,
                namespace=self._here,
            )
            batch.add(step, born)
            batch.add(step, rtnl.set_link(wanted.name, alias=f"{wanted.owner.tag}{HANDED}"))
        else:
            batch.add(step, rtnl.set_link(wanted.name, mtu=wanted.mtu, master=bridge.index))
        batch.add(step, rtnl.set_port(wanted.name, hairpin=wanted.hairpin))
        failed = batch.send()
        if failed and link is None:
            self._host.exchange([rtnl.delete_link(wanted.name)])
        _raise_first(failed)
        sysctl.write_where_present(sysctl.of_link("ipv6", wanted.name, "disable_ipv6"), "1")
        batch.add(step, rtnl.set_link(wanted.name, up=True))
        _raise_first(batch.send())

    def _link(self, name: str) -> Link | None:
        return self._observer.named([name])[0] if name else None


def _raise_first(failed: dict[int, CnmError | None]) -> None:
    for error in failed.values():
        if error is not None:
            raise error


def _in_the_way(wanted: HandedVeth) -> CnmError:
    return Conflict(
        gettext_noop("A device named {name} exists on the host and is not ours."),
        remedy=gettext_noop("Rename or remove that device, then repair the container."),
        subject=f"device {wanted.name}",
        name=wanted.name,
        facts={"key": list(wanted.key)},
    )
