"""Writing VLAN sub-interfaces. One that was there before us is left as it is, also where its network goes."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from networks.cnm.errors import CnmError, Conflict
from networks.cnm.plan import Step
from networks.cnm.resources import Vlan
from networks.cnm.text import gettext_noop
from worker.kernel import rtnl, sysctl
from worker.kernel.netlink import Netlink
from worker.kernel.rtnl import Link
from worker.observe.links import OUR_ALIAS

from .batch import Batch, Unfinished, not_tried


class Vlans:
    """Sub-interfaces of devices of the host."""

    def __init__(self, host: Netlink) -> None:
        self._host = host

    def write(self, steps: Sequence[Step]) -> Unfinished:
        """Make those that are missing, and set what can change of those that are ours."""
        for place, step in enumerate(steps):
            failed = self._write(step)
            if failed:
                return not_tried(steps[place + 1 :]) | failed
        return {}

    def remove(self, steps: Sequence[Step]) -> Unfinished:
        """Take away those that are ours; what is gone is gone."""
        batch = Batch(self._host)
        for step in steps:
            name = step.resource.key[1]
            link = self._link(name)
            if link is not None and _is_ours(link):
                batch.add(step, rtnl.delete_link(name), fine=(errno.ENODEV,))
        return batch.send()

    def _write(self, step: Step) -> Unfinished:
        wanted = step.after
        assert isinstance(wanted, Vlan)  # noqa: S101  # the caller chose it
        parent, found = self._link(wanted.parent), self._link(wanted.name)
        if parent is None:
            return {id(step): _no_parent(step, wanted)}
        fits = found is not None and (found.kind, found.peer, found.vlan) == ("vlan", parent.index, wanted.number)
        if found is not None and not _is_ours(found):
            # Made by somebody else since we looked: a network may stand on it, unless a bridge has its frames.
            return {} if fits and not found.master else {id(step): _in_the_way(step, wanted)}
        batch = Batch(self._host)
        if not fits:
            if found is not None:
                self._host.exchange([rtnl.delete_link(wanted.name)])
            mtu = min(wanted.mtu, parent.mtu)
            batch.add(step, rtnl.create_vlan(wanted.name, parent=parent.index, vlan=wanted.number, mtu=mtu))
            batch.add(step, rtnl.set_link(wanted.name, alias=wanted.owner.tag))
            failed = batch.send()
            if failed:
                return failed
            # The host stands in its VLAN for others: a router there gives it no addresses.
            sysctl.write_where_present(sysctl.of_link("ipv6", wanted.name, "accept_ra"), "0")
        batch.add(step, rtnl.set_link(wanted.name, mtu=min(wanted.mtu, parent.mtu), up=True))
        return batch.send()

    def _link(self, name: str) -> Link | None:
        (answer,) = self._host.exchange([rtnl.get_link(name)])
        return rtnl.read_link(answer.data) if not answer.errno and answer.data is not None else None


def _is_ours(link: Link) -> bool:
    return link.kind == "vlan" and link.alias.startswith(OUR_ALIAS)


def _no_parent(step: Step, wanted: Vlan) -> CnmError:
    return Conflict(
        gettext_noop("The host has no device {parent}, of which {name} would be a VLAN."),
        remedy=gettext_noop("Bring the device back, then repair the network."),
        subject=f"{step.resource.owner.kind} {step.resource.owner.name}",
        facts={"key": list(step.key)},
        parent=wanted.parent,
        name=wanted.name,
    )


def _in_the_way(step: Step, wanted: Vlan) -> CnmError:
    return Conflict(
        gettext_noop(
            "A device named {name} exists on the host, and no network can stand on it as VLAN {number} of {parent}."
        ),
        remedy=gettext_noop("Rename or remove that device, then repair the network."),
        field="options.parent",
        subject=f"device {wanted.name}",
        facts={"key": list(step.key)},
        name=wanted.name,
        number=wanted.number,
        parent=wanted.parent,
    )
