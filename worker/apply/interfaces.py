"""Interfaces that somebody else made on the host for a sandbox: moved there, and back before the sandbox goes."""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence

from networks.cnm.errors import CnmError, Conflict
from networks.cnm.plan import Step
from networks.cnm.resources import Interface
from networks.cnm.text import gettext_noop
from worker.kernel import netns, rtnl
from worker.kernel.ledger import Ledger
from worker.kernel.netlink import Netlink
from worker.kernel.rtnl import Link
from worker.observe.links import OUR_ALIAS, interface_entry

from .batch import Batch, Unfinished, refused
from .on_parents import link_in

ANNOUNCE_S, ANNOUNCE_POLL_S = 1.2, 0.005
"""How long an interface may take to get its carrier on both ends: the kernel looks after links that do not seem urgent once a second."""


class Interfaces:
    """Their way into sandboxes and back; what is on them (addresses, up) is written with the rest of the sandbox.

    The ledger knows what each was called on the host: it is written before the move, and goes after the way back.
    """

    def __init__(self, host: Netlink, home: int, ledger: Ledger) -> None:
        self._host = host
        self._home = home
        self._ledger = ledger

    def write(self, steps: Sequence[Step], sandbox: netns.Sandbox) -> Unfinished:
        """Move those in that are still on the host. Those that are there already need nothing but their alias."""
        for step in steps:
            wanted = step.after
            assert isinstance(wanted, Interface)  # noqa: S101  # the caller chose them
            failed = self._bring(step, wanted, sandbox)
            if failed is not None:
                return {id(step): failed}
        return {}

    def _bring(self, step: Step, wanted: Interface, sandbox: netns.Sandbox) -> CnmError | None:
        entry = interface_entry(wanted.sandbox, wanted.ifname)
        held = self._ledger.get(entry)
        there = link_in(sandbox, wanted.ifname)
        found = self._on_host(wanted.source)
        if there is not None and held is not None and (found is not None or held["source"] != wanted.source):
            self._send_back(wanted.sandbox, wanted.ifname, there, sandbox)  # another one takes its place
            there = None
        if there is None:
            if found is None or (found.alias.startswith(OUR_ALIAS) and found.alias != wanted.owner.tag):
                return _not_there(step, wanted)
            self._ledger.put(entry, {"source": wanted.source, "mac": bool(wanted.mac)})
            marked = self._host.exchange([rtnl.set_link(found.index, alias=wanted.owner.tag)])
            moved = self._host.exchange([rtnl.move_link(found.index, namespace=sandbox.descriptor, name=wanted.ifname)])
            for answer in (*marked, *moved):
                if answer.errno:
                    return refused(step, answer.errno, answer.cause)
        elif held is None:
            return refused(step, errno.EEXIST, f"there is another {wanted.ifname} in it")
        else:
            self._ledger.put(entry, {"source": wanted.source, "mac": bool(wanted.mac)})
        inside = Batch(sandbox.netlink)
        inside.add(step, rtnl.set_link(wanted.ifname, alias=wanted.owner.tag, mac=wanted.mac or None))
        self._host.exchange([rtnl.give_id(sandbox.descriptor)])
        return inside.send().get(id(step))

    def announce(self, steps: Sequence[Step], sandbox: netns.Sandbox) -> None:
        """Have the kernel tell the neighbours which MAC has the addresses now, where the interface is asked to (``arp_notify``,
        ``ndisc_notify``): a plugin's MAC is another one after each start, and they would go on with the former one for a minute.

        What the kernel sends by itself when an interface comes up is lost on a bridge that takes its port for down still; so it is
        waited for, :data:`ANNOUNCE_S` at most.
        """
        until = time.monotonic() + ANNOUNCE_S
        for step in steps:
            wanted = step.after
            assert isinstance(wanted, Interface)  # noqa: S101  # the caller chose them
            while (link := link_in(sandbox, wanted.ifname)) is not None and link.up:
                if link.running and self._heard_outside(link):
                    sandbox.netlink.exchange([rtnl.set_link(link.index, mac=link.mac)])
                    break
                if time.monotonic() > until:
                    break
                time.sleep(ANNOUNCE_POLL_S)

    def _heard_outside(self, link: Link) -> bool:
        """Whether the other end of a cable, where it is the host's, has its carrier: a bridge takes nothing from it before."""
        if link.kind != "veth":
            return True
        (answer,) = self._host.exchange([rtnl.get_link(link.peer)])
        outer = rtnl.read_link(answer.data) if not answer.errno and answer.data is not None else None
        return outer is None or outer.peer != link.index or not outer.up or outer.running

    def remove(self, steps: Sequence[Step], sandbox: netns.Sandbox | None) -> None:
        """Give them back to the host, under the names that they had there; what is gone is gone."""
        for step in steps:
            _, name, ifname = step.key
            there = link_in(sandbox, ifname) if sandbox is not None else None
            if sandbox is not None and there is not None and there.alias.startswith(OUR_ALIAS):
                self._send_back(name, ifname, there, sandbox)
            self._ledger.drop(interface_entry(name, ifname))

    def _send_back(self, name: str, ifname: str, link: Link, sandbox: netns.Sandbox) -> None:
        """Whoever made it may need it there to take it away. Where its name is another's by now it stays, and goes with the sandbox."""
        held = self._ledger.get(interface_entry(name, ifname))
        if held is None:
            return
        sandbox.netlink.exchange(
            [
                rtnl.set_link(link.index, alias="", up=False),
                rtnl.move_link(link.index, namespace=self._home, name=str(held["source"])),
            ]
        )
        self._ledger.drop(interface_entry(name, ifname))

    def _on_host(self, name: str) -> Link | None:
        (answer,) = self._host.exchange([rtnl.get_link(name)]) if name else (None,)
        return rtnl.read_link(answer.data) if answer and not answer.errno and answer.data is not None else None


def _not_there(step: Step, wanted: Interface) -> CnmError:
    return Conflict(
        gettext_noop("The host has no interface {source} that could become {ifname} of the container."),
        remedy=gettext_noop("Look into the log of the plugin that was to make it, then repair the container."),
        subject=f"{step.resource.owner.kind} {step.resource.owner.name}",
        facts={"key": list(step.key)},
        source=wanted.source or "-",
        ifname=wanted.ifname,
    )
