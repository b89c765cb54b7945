"""Writing macvlans and ipvlans: made from the host, where their parent is, and born in a sandbox."""

from __future__ import annotations

from collections.abc import Sequence

from networks.cnm.errors import CnmError, Conflict
from networks.cnm.plan import Step
from networks.cnm.resources import Ipvlan, Macvlan, OnParent
from networks.cnm.text import gettext_noop
from worker.kernel import netns, rtnl
from worker.kernel.netlink import Netlink
from worker.kernel.rtnl import Link
from worker.observe.links import OUR_ALIAS

from .batch import Batch, Unfinished


class OnParents:
    """Devices of sandboxes on devices of the host; what is on them (addresses, MTU, up) is written with the rest of the sandbox."""

    def __init__(self, host: Netlink) -> None:
        self._host = host

    def write(self, steps: Sequence[Step], sandbox: netns.Sandbox) -> Unfinished:
        """Make those that are missing, and set the mode of the others."""
        born, inside = Batch(self._host), Batch(sandbox.netlink)
        for step in steps:
            wanted = step.after
            assert isinstance(wanted, OnParent)  # noqa: S101  # the caller chose them
            parent = self._link(wanted.parent)
            if parent is None:
                return {id(step): _no_parent(step, wanted)}
            found = link_in(sandbox, wanted.ifname)
            if found is not None and found.alias.startswith(OUR_ALIAS) and found.peer != parent.index:
                sandbox.netlink.exchange([rtnl.delete_link(wanted.ifname)])
                found = None
            if found is None or not _is(found, wanted, parent):
                born.add(step, _born(wanted, parent, sandbox))
            elif isinstance(wanted, Ipvlan) and (found.mode, found.flag) != (wanted.mode, wanted.flag):
                inside.add(step, rtnl.set_ipvlan(found.index, mode=wanted.mode, flag=wanted.flag))
            elif isinstance(wanted, Macvlan) and found.mode != wanted.mode:
                inside.add(step, rtnl.set_macvlan(found.index, mode=wanted.mode))
            inside.add(step, rtnl.set_link(wanted.ifname, alias=wanted.owner.tag))
        if not steps:
            return {}
        self._host.exchange([rtnl.give_id(sandbox.descriptor)])
        return born.send() or inside.send()

    @staticmethod
    def remove(steps: Sequence[Step], sandbox: netns.Sandbox) -> None:
        """Take away those that are ours; what is gone is gone."""
        names = [step.resource.key[2] for step in steps]
        ours = [name for name in names if (link := link_in(sandbox, name)) and link.alias.startswith(OUR_ALIAS)]
        if ours:
            sandbox.netlink.exchange([rtnl.delete_link(name) for name in ours])

    def _link(self, name: str) -> Link | None:
        (answer,) = self._host.exchange([rtnl.get_link(name)]) if name else (None,)
        return rtnl.read_link(answer.data) if answer and not answer.errno and answer.data is not None else None


def link_in(sandbox: netns.Sandbox, name: str) -> Link | None:
    """The link *name* of a sandbox, or None."""
    (answer,) = sandbox.netlink.exchange([rtnl.get_link(name)])
    return rtnl.read_link(answer.data) if not answer.errno and answer.data is not None else None


def _born(wanted: OnParent, parent: Link, sandbox: netns.Sandbox) -> bytes:
    mtu = min(wanted.mtu, parent.mtu)
    if isinstance(wanted, Macvlan):
        return rtnl.create_macvlan(
            wanted.ifname,
            parent=parent.index,
            mode=wanted.mode,
            mac=wanted.mac,
            mtu=mtu,
            namespace=sandbox.descriptor,
        )
    flag = wanted.flag if isinstance(wanted, Ipvlan) else ""
    return rtnl.create_ipvlan(
        wanted.ifname, parent=parent.index, mode=wanted.mode, flag=flag, mtu=mtu, namespace=sandbox.descriptor
    )


def _is(found: Link, wanted: OnParent, parent: Link) -> bool:
    """Whether *found* is the device that is asked for: ours, or one that was left without its alias half-way."""
    if found.kind != wanted.kind or found.peer != parent.index:
        return False
    left = found.mac == wanted.mac if isinstance(wanted, Macvlan) else not found.up
    return found.alias.startswith(OUR_ALIAS) or left


def _no_parent(step: Step, wanted: OnParent) -> CnmError:
    return Conflict(
        gettext_noop("The host has no device {parent}, on which {name} would stand."),
        remedy=gettext_noop(
            "Bring the device back, or make another network on one that is there; then repair the container."
        ),
        subject=f"{step.resource.owner.kind} {step.resource.owner.name}",
        facts={"key": list(step.key)},
        parent=wanted.parent,
        name=wanted.ifname,
    )
