"""The handler of VXLAN devices, forwarding entries and neighbours."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Sequence

from networks.cnm.errors import CnmError, Conflict
from networks.cnm.plan import Step
from networks.cnm.resources import ForwardingEntry, Key, Neighbour, Resource, Vxlan
from networks.cnm.text import gettext_noop
from worker.handler import Done
from worker.kernel import rtnl, sysctl, vxlan
from worker.kernel.netlink import Netlink
from worker.observe.overlay import Device, OverlayObserver

from .batch import Batch, refused

KINDS = frozenset({"vxlan", "forwarding", "neighbour"})
ADDR_GEN_NONE = "1"
"""IN6_ADDR_GEN_MODE_NONE (linux/if_link.h): a link without a link-local address."""
_GONE = (errno.ENOENT, errno.ENODEV)


class OverlayHandler:
    """Reads and writes what joins a host's overlay networks to those of other hosts, in the namespace in which it was made."""

    kinds = KINDS

    def __init__(self) -> None:
        self._host = Netlink()
        self._observer = OverlayObserver(self._host)

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """What of *keys* exists now; None: everything of ours."""
        return self._observer.observe(keys)

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """Carry out *steps*: removals, then devices, then entries, all entries in few datagrams.

        Raises a CnmError whose ``facts["key"]`` names the step that failed.
        """
        self._remove([step for step in steps if step.after is None], done)
        for step in steps:
            if isinstance(step.after, Vxlan):
                self._write_device(step, step.after)
                done(step)
        self._write_entries([step for step in steps if isinstance(step.after, ForwardingEntry | Neighbour)], done)

    def _remove(self, steps: Sequence[Step], done: Done) -> None:
        leaving = {step.resource.key[1] for step in steps if isinstance(step.before, Vxlan)}
        batch = Batch(self._host)
        devices = self._indexes(steps)
        for step in steps:
            name = step.resource.key[1]
            if isinstance(step.before, Vxlan):
                if name in devices:
                    batch.add(step, rtnl.delete_link(name), fine=_GONE)
            elif name in devices and name not in leaving:  # a device takes its entries along
                for message in _deletions(step.resource, devices[name]):
                    batch.add(step, message, fine=_GONE)
        _finish(batch, steps, done)

    def _write_device(self, step: Step, wanted: Vxlan) -> None:
        device = next(iter(self._observer.named([wanted.name])), None)
        if device is not None and _is_another(device, wanted):
            self._host.exchange([rtnl.delete_link(wanted.name)])
            device = None
        if device is None:
            self._create(step, wanted)
        batch = Batch(self._host)
        if device is not None and wanted.local is not None:
            batch.add(step, vxlan.set_vxlan(wanted.name, wanted.local))
        master = self._bridge(step, wanted) if device is not None else None
        batch.add(step, rtnl.set_link(wanted.name, mtu=wanted.mtu, master=master, up=True))
        # Who is where is told. What comes by one segment from somebody whose own is another must not lead his frames there.
        batch.add(step, rtnl.set_port(wanted.name, learning=False))
        _raise_first(batch.send())

    def _create(self, step: Step, wanted: Vxlan) -> None:
        """A segment's number and port make one device in a namespace: one of ours that was left behind gives way."""
        for other in self._observer.devices():
            if (other.vxlan.vni, other.vxlan.port) == (wanted.vni, wanted.port):
                if not other.ours:
                    raise _taken(wanted, other)
                self._host.exchange([rtnl.delete_link(other.link.name)])
        batch = Batch(self._host)
        message = vxlan.create_vxlan(
            wanted.name,
            vni=wanted.vni,
            port=wanted.port,
            local=wanted.local,
            master=self._bridge(step, wanted),
            mtu=wanted.mtu,
        )
        batch.add(step, message)
        batch.add(step, rtnl.set_link(wanted.name, alias=wanted.owner.tag))
        _raise_first(batch.send())
        # It answers for IPv6 neighbours, which a device without IPv6 takes none of, and has nothing to say for itself: no address.
        for key, value in (("addr_gen_mode", ADDR_GEN_NONE), ("accept_ra", "0"), ("disable_ipv6", "0")):
            sysctl.write_where_present(sysctl.of_link("ipv6", wanted.name, key), value)

    def _bridge(self, step: Step, wanted: Vxlan) -> int:
        (answer,) = self._host.exchange([rtnl.get_link(wanted.bridge)])
        if answer.errno or answer.data is None:
            raise refused(step, answer.errno or errno.ENODEV, answer.cause)
        return rtnl.read_link(answer.data).index

    def _write_entries(self, steps: Sequence[Step], done: Done) -> None:
        batch = Batch(self._host)
        devices = self._indexes(steps)
        for step in steps:
            resource = step.after
            index = devices.get(step.resource.key[1])
            if index is None:
                raise refused(step, errno.ENODEV)
            if isinstance(resource, ForwardingEntry):
                for message in vxlan.set_forwarding(index, resource.mac, resource.remote):
                    batch.add(step, message)
            elif isinstance(resource, Neighbour):
                batch.add(step, vxlan.set_neighbour(index, resource.address, resource.mac))
        _finish(batch, steps, done)

    def _indexes(self, steps: Sequence[Step]) -> dict[str, int]:
        """The index of each device of ours that *steps* name."""
        found = self._observer.named({step.resource.key[1] for step in steps}) if steps else []
        return {device.link.name: device.link.index for device in found if device.ours}


def _deletions(resource: Resource, index: int) -> tuple[bytes, ...]:
    if isinstance(resource, ForwardingEntry):
        return vxlan.delete_forwarding(index, resource.mac)
    assert isinstance(resource, Neighbour)  # noqa: S101  # the only other kind
    return (vxlan.delete_neighbour(index, resource.address),)


def _is_another(device: Device, wanted: Vxlan) -> bool:
    """Whether a device differs in what it has from its birth. A local address changes in place, unless its version does."""
    made = device.vxlan
    versions = [address.version if address is not None else 0 for address in (made.local, wanted.local)]
    return (made.vni, made.port) != (wanted.vni, wanted.port) or versions[0] != versions[1]


def _finish(batch: Batch, steps: Sequence[Step], done: Done) -> None:
    """Send *batch*, report what the kernel carried out, and raise the first refusal."""
    failed = batch.send()
    for step in steps:
        if id(step) not in failed:
            done(step)
    _raise_first(failed)


def _raise_first(failed: dict[int, CnmError | None]) -> None:
    for error in failed.values():
        if error is not None:
            raise error


def _taken(wanted: Vxlan, other: Device) -> CnmError:
    return Conflict(
        gettext_noop("Segment {vni} on UDP port {port} is the device {name}'s already, which is not ours."),
        remedy=gettext_noop("Remove that device (ip link delete {name}), or give the network another segment."),
        field="options.com.docker.network.driver.overlay.vxlanid_list",
        subject=f"device {other.link.name}",
        vni=wanted.vni,
        port=wanted.port,
        name=other.link.name,
        facts={"key": list(wanted.key)},
    )
