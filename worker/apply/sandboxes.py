"""Writing sandboxes and what is in them: veths, macvlans, ipvlans, addresses, routes."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Sequence
from typing import Any

from networks.cnm.errors import CnmError, Conflict, Unsupported
from networks.cnm.plan import Action, Step
from networks.cnm.resources import Address, Interface, Macvlan, OnParent, Resource, Route, Sandbox, Veth
from networks.cnm.text import gettext_noop
from worker.kernel import netns, rtnl, sysctl
from worker.kernel.ledger import Ledger
from worker.kernel.netlink import Netlink
from worker.kernel.netns import Namespaces, NotANamespace
from worker.kernel.rtnl import Link
from worker.observe.links import is_our_veth, sandbox_entry, sysctls_entry

from .batch import Batch, Unfinished, not_tried, refused
from .interfaces import Interfaces
from .on_parents import OnParents, link_in

VANISH_WAIT_S = 2.0
"""How long removed namespaces may take to let their links go, before these are deleted by name."""
VANISH_POLL_S = 0.003


class Sandboxes:
    """Sandboxes under ``/run/netns``. One datagram to the host and one into the sandbox carry out all its steps."""

    def __init__(self, host: Netlink, namespaces: Namespaces, ledger: Ledger) -> None:
        self._host = host
        self._namespaces = namespaces
        self._ledger = ledger
        self._on_parents = OnParents(host)
        self._interfaces = Interfaces(host, namespaces.home, ledger)

    def write(self, steps: Sequence[Step]) -> Unfinished:
        """Carry out creations and changes that are all about one sandbox."""
        name = sandbox_of(steps[0])
        own = next((step for step in steps if isinstance(step.after, Sandbox)), None)
        rest = [step for step in steps if step is not own]
        try:
            sandbox = self._open(name, own)
            if sandbox is None:
                raise refused(steps[0], errno.ENOENT, f"there is no sandbox {name}")
        except CnmError as error:
            return not_tried(steps) | {id(own or steps[0]): error}
        with sandbox:
            failed = self._lo_up(own, sandbox) if own is not None else {}
            veths = [step for step in rest if isinstance(step.after, Veth)]
            standing = [step for step in rest if isinstance(step.after, OnParent)]
            failed = failed or self._write_host_ends(veths, sandbox) or self._on_parents.write(standing, sandbox)
            interfaces = [step for step in rest if isinstance(step.after, Interface)]
            failed = failed or self._interfaces.write(interfaces, sandbox)
            failed = failed or self._set_sysctls([*veths, *standing, *interfaces], sandbox)
            if failed:
                return not_tried(rest) | failed
            failed = self._write_inside(rest, sandbox)
            self._interfaces.announce(interfaces, sandbox)
            return failed

    def remove(self, steps: Sequence[Step]) -> Unfinished:
        """Carry out deletions. A sandbox of ours takes its links along; the wait for that is one for all of them."""
        leaving = {step.resource.key[1] for step in steps if isinstance(step.resource, Sandbox)}
        dying = {name for name in leaving if self._ledger.get(sandbox_entry(name)) is None}
        failed = self._remove_inside([step for step in steps if sandbox_of(step) not in dying])
        self._remove_on_parents([step for step in steps if isinstance(step.resource, OnParent)])
        self._remove_interfaces([step for step in steps if isinstance(step.resource, Interface)])
        veths = [step for step in steps if isinstance(step.resource, Veth)]
        ours = self._ours(veths)
        self._delete_links(
            [step.resource.key[1] for step in veths if id(step) in ours and sandbox_of(step) not in dying]
        )
        for step in veths:
            self._ledger.drop(sysctls_entry(sandbox_of(step), step.resource.key[1]))
        for name in leaving:
            self._namespaces.let_go(name)
            self._ledger.drop(sandbox_entry(name))
        left = self._wait_until_gone([step.resource.key[1] for step in veths if id(step) in ours])
        if left:  # somebody holds the namespace open
            self._delete_links(left)
            left = self._still_there(left)
        return failed | {id(step): refused(step, errno.EBUSY) for step in veths if step.resource.key[1] in left}

    def _open(self, name: str, step: Step | None) -> netns.Sandbox | None:
        """The sandbox, made or changed first where *step* says so. Raises CnmError."""
        wanted = step.after if step is not None else None
        if step is None or not isinstance(wanted, Sandbox):
            return self._namespaces.open(name)
        if wanted.adopted_path:
            return self._adopt(step, wanted)
        try:
            found = self._namespaces.open(name)
            if found is None:
                return self._namespaces.create(name, ipv6=wanted.ipv6)
            self._namespaces.switch_ipv6(found, wanted.ipv6)
        except OSError as error:
            raise refused(step, error.errno or 0) from error
        return found

    def _adopt(self, step: Step, wanted: Sandbox) -> netns.Sandbox:
        path = wanted.adopted_path
        try:
            bound = self._namespaces.identity(self._namespaces.path(wanted.name))
            # A file that nothing is bound to lies in the folder's own file system, so it never equals a namespace.
            found = self._namespaces.open(wanted.name) if bound == self._namespaces.identity(path) else None
            sandbox = found or self._namespaces.adopt(wanted.name, path)
            self._ledger.put(sandbox_entry(wanted.name), {"path": path, "ipv6": wanted.ipv6})
            if wanted.ipv6:  # never off: the namespace's owner may use it
                self._namespaces.switch_ipv6(sandbox, True)
        except NotANamespace as error:
            raise Conflict(
                gettext_noop("The namespace {path} cannot be adopted: {cause}."),
                remedy=gettext_noop("Give the path of another program's network namespace, such as /run/netns/blue."),
                field="adopted_path",
                path=path,
                cause=error,
                facts={"key": list(step.key)},
            ) from error
        except OSError as error:
            raise refused(step, error.errno or 0) from error
        return sandbox

    def _write_host_ends(self, steps: Sequence[Step], sandbox: netns.Sandbox) -> Unfinished:
        """Make missing veths, and set what of a host end can change. Their other ends are born in the sandbox."""
        masters: dict[str, int] = {}
        before, after = Batch(self._host), Batch(self._host)
        for step in steps:
            veth = step.after
            assert isinstance(veth, Veth)  # noqa: S101  # the caller chose them
            if veth.bridge not in masters:
                link = self._link(veth.bridge)
                masters[veth.bridge] = link.index if link is not None and link.kind == "bridge" else 0
            master = masters[veth.bridge]
            if not master:
                return {id(step): refused(step, errno.ENODEV, f"there is no bridge {veth.bridge}")}
            link = self._link(veth.name)
            if link is not None and not is_our_veth(link) and not self._leads_to(link, veth):
                return {id(step): _in_the_way(veth)}
            if self._is_born(step, veth, link):
                before.add(step, _born(veth, master, sandbox))
            else:
                before.add(step, rtnl.set_link(veth.name, mtu=veth.mtu, master=master))
            before.add(step, rtnl.set_link(veth.name, alias=veth.owner.tag))
            before.add(step, rtnl.set_port(veth.name, hairpin=veth.hairpin))
            after.add(step, rtnl.set_link(veth.name, up=True))
        failed = before.send()
        if failed:
            return failed
        for step in steps:
            # Before it is up: not one report leaves for the bridge, where every other port would get it.
            sysctl.write_where_present(sysctl.of_link("ipv6", step.resource.key[1], "disable_ipv6"), "1")
        return after.send()

    def _set_sysctls(self, steps: Sequence[Step], sandbox: netns.Sandbox) -> Unfinished:
        """What was asked for of an interface, before it is up."""
        for step in steps:
            wanted = step.after
            if not isinstance(wanted, Veth | OnParent | Interface) or not wanted.sysctls:
                continue
            device = wanted.name if isinstance(wanted, Veth) else wanted.ifname
            self._ledger.put(sysctls_entry(wanted.sandbox, device), [name for name, _ in wanted.sysctls])
            with self._namespaces.entered(sandbox.descriptor):
                for name, value in wanted.sysctls:
                    try:
                        sysctl.write(name, value)
                    except OSError as error:
                        return {id(step): _no_such_setting(step, name, value, error)}
        return {}

    @staticmethod
    def _lo_up(step: Step, sandbox: netns.Sandbox) -> Unfinished:
        batch = Batch(sandbox.netlink)
        batch.add(step, rtnl.set_link(1, up=True))
        return batch.send()

    def _is_born(self, step: Step, veth: Veth, link: Link | None) -> bool:
        """Whether the pair has to be made; one of ours that is there but leads elsewhere is deleted first."""
        if link is None:
            return True
        now = step.before
        if isinstance(now, Veth) and (now.sandbox, now.ifname) == (veth.sandbox, veth.ifname):
            return False
        if step.action is Action.CREATE and self._leads_to(link, veth):
            return False
        self._delete_links([veth.name])
        return True

    def _leads_to(self, link: Link, veth: Veth) -> bool:
        sandbox = self._namespaces.open(veth.sandbox)
        if sandbox is None:
            return False
        with sandbox:
            peer = link_in(sandbox, veth.ifname)
        return peer is not None and peer.peer == link.index and link.peer == peer.index

    def _write_inside(self, steps: Sequence[Step], sandbox: netns.Sandbox) -> Unfinished:
        indexes = _indexes(sandbox, sorted({_device(step.after) for step in steps}))
        batch = Batch(sandbox.netlink)
        missing: Unfinished = {}
        for step in sorted(steps, key=_place):
            wanted = step.after
            name = _device(wanted)
            index = indexes.get(name)
            if index is None:
                missing[id(step)] = refused(step, errno.ENODEV, f"there is no {name} in it")
            elif isinstance(wanted, Interface):
                batch.add(step, rtnl.set_link(index, up=True))
            elif isinstance(wanted, Veth | OnParent):
                mac = wanted.mac if isinstance(wanted, Veth | Macvlan) and step.before is not None else None
                batch.add(step, rtnl.set_link(index, mac=mac, mtu=wanted.mtu, up=True))
            elif isinstance(wanted, Address):
                batch.add(step, rtnl.add_address(index, wanted.address), fine=(errno.EEXIST,))
            elif isinstance(wanted, Route):
                adopted = self._ledger.get(sandbox_entry(wanted.sandbox)) is not None
                replace = step.action is Action.CHANGE or not adopted
                batch.add(step, rtnl.add_route(wanted.destination, wanted.gateway, index, replace=replace))
        failed = missing | batch.send()
        return {number: _route_in_the_way(error) for number, error in failed.items()}

    def _remove_inside(self, steps: Sequence[Step]) -> Unfinished:
        """Addresses and routes of sandboxes that stay, or that are not ours to end."""
        failed: Unfinished = {}
        inside = [step for step in steps if isinstance(step.resource, Address | Route)]
        for name in dict.fromkeys(sandbox_of(step) for step in inside):
            sandbox = self._namespaces.open(name)
            if sandbox is None:
                continue
            with sandbox:
                mine = [step for step in inside if sandbox_of(step) == name]
                indexes = _indexes(sandbox, sorted({_device(step.resource) for step in mine}))
                batch = Batch(sandbox.netlink)
                for step in mine:
                    resource = step.resource
                    index = indexes.get(_device(resource))
                    if index is None:
                        continue
                    if isinstance(resource, Route):
                        message = rtnl.delete_route(resource.destination, resource.gateway, index)
                        batch.add(step, message, fine=(errno.ESRCH, errno.ENODEV))
                    elif isinstance(resource, Address):
                        message = rtnl.delete_address(index, resource.address)
                        batch.add(step, message, fine=(errno.EADDRNOTAVAIL, errno.ENODEV))
                failed |= batch.send()
        return failed

    def _remove_on_parents(self, steps: Sequence[Step]) -> None:
        """Also of a sandbox that goes: it is not gone at once, and until then its devices keep their MACs from their successors."""
        for name in dict.fromkeys(sandbox_of(step) for step in steps):
            sandbox = self._namespaces.open(name)
            if sandbox is not None:
                with sandbox:
                    self._on_parents.remove([step for step in steps if sandbox_of(step) == name], sandbox)
            for step in steps:
                if sandbox_of(step) == name:
                    self._ledger.drop(sysctls_entry(name, step.resource.key[2]))

    def _remove_interfaces(self, steps: Sequence[Step]) -> None:
        """Also out of a sandbox that goes: whoever made them looks for them on the host."""
        for name in dict.fromkeys(sandbox_of(step) for step in steps):
            mine = [step for step in steps if sandbox_of(step) == name]
            with contextlib.ExitStack() as stack:
                sandbox = self._namespaces.open(name)
                self._interfaces.remove(mine, stack.enter_context(sandbox) if sandbox is not None else None)
            for step in mine:
                self._ledger.drop(sysctls_entry(name, step.resource.key[2]))

    def _ours(self, steps: Sequence[Step]) -> set[int]:
        """``id(step)`` of the veths that are ours to delete: a device of somebody else may have taken the name."""
        answers = self._host.exchange([rtnl.get_link(step.resource.key[1]) for step in steps])
        found = set()
        for step, answer in zip(steps, answers, strict=True):
            if answer.errno or answer.data is None:
                continue
            link, veth = rtnl.read_link(answer.data), step.resource
            if is_our_veth(link) or (isinstance(veth, Veth) and self._leads_to(link, veth)):
                found.add(id(step))
        return found

    def _delete_links(self, names: Sequence[str]) -> None:
        """Delete host ends, and with each its other end: many as one group, so that the kernel waits once."""
        if not names:
            return
        if len(names) == 1:
            self._host.exchange([rtnl.delete_link(names[0])])
            return
        group = 0x40000000 | secrets.randbits(30)
        self._host.exchange([*(rtnl.set_link(name, group=group) for name in names), rtnl.delete_group(group)])

    def _wait_until_gone(self, names: Sequence[str]) -> list[str]:
        """Wait, not for ever, until no link has one of *names*; those that are left."""
        deadline = time.monotonic() + VANISH_WAIT_S
        while (names := self._still_there(names)) and time.monotonic() < deadline:
            time.sleep(VANISH_POLL_S)
        return list(names)

    def _still_there(self, names: Sequence[str]) -> list[str]:
        answers = self._host.exchange([rtnl.get_link(name) for name in names])
        return [name for name, answer in zip(names, answers, strict=True) if not answer.errno]

    def _link(self, name: str) -> Link | None:
        (answer,) = self._host.exchange([rtnl.get_link(name)]) if name else (None,)
        return rtnl.read_link(answer.data) if answer and not answer.errno and answer.data is not None else None


def _born(veth: Veth, master: int, sandbox: netns.Sandbox) -> bytes:
    return rtnl.create_veth(
        veth.name,
        master=master,
        mtu=veth.mtu,
        peer=veth.ifname,
        peer_mac=veth.mac,
        namespace=sandbox.descriptor,
    )


def _in_the_way(veth: Veth) -> CnmError:
    return Conflict(
        gettext_noop("A device named {name} exists on the host and is not ours."),
        remedy=gettext_noop("Rename or remove that device, then repair the container."),
        subject=f"device {veth.name}",
        name=veth.name,
        facts={"key": list(veth.key)},
    )


def _no_such_setting(step: Step, name: str, value: str, error: OSError) -> CnmError:
    return Unsupported(
        gettext_noop("The kernel of this host does not let {name} be {value}: {cause}."),
        remedy=gettext_noop("Leave the setting out, or choose one that is below /proc/sys/net of a container."),
        field="driver_opts.com.docker.network.endpoint.sysctls",
        facts={"key": list(step.key), "errno": error.errno},
        name=name.replace("/", "."),
        value=value,
        cause=os.strerror(error.errno or 0),
    )


def _place(step: Step) -> int:
    """Addresses before their link is up, routes after it."""
    kinds: tuple[Any, ...] = (Address, Veth | OnParent | Interface, Route)
    return next(place for place, kind in enumerate(kinds) if isinstance(step.resource, kind))


def _indexes(sandbox: netns.Sandbox, names: Sequence[str]) -> dict[str, int]:
    answers = sandbox.netlink.exchange([rtnl.get_link(name) for name in names])
    return {
        name: rtnl.read_link(answer.data).index
        for name, answer in zip(names, answers, strict=True)
        if not answer.errno and answer.data is not None
    }


def _device(resource: Resource | None) -> str:
    """The link inside a sandbox that a resource is or is on."""
    if isinstance(resource, Veth | OnParent | Interface):
        return resource.ifname
    return resource.device if isinstance(resource, Address | Route) else ""


def _route_in_the_way(error: CnmError | None) -> CnmError | None:
    """An adopted namespace may have a default route of its own, which is not ours to replace."""
    if error is None or error.facts["errno"] != errno.EEXIST or error.facts["key"][0] != "route":
        return error
    return Conflict(
        gettext_noop("The adopted namespace already has a route to {destination}."),
        remedy=gettext_noop("Remove that route in the namespace, then repair the container."),
        subject=error.subject,
        destination=error.facts["key"][2],
        facts=error.facts,
    )


def sandbox_of(step: Step) -> str:
    """The sandbox that a step is about."""
    resource = step.resource
    if isinstance(resource, Sandbox):
        return resource.name
    return resource.sandbox if isinstance(resource, Veth | OnParent | Interface | Address | Route) else ""
