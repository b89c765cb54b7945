"""What VXLAN devices of ours a host has now, with their forwarding entries and neighbours.

A device is ours by its alias (``cnm:…``), and then so is every permanent entry in it: what somebody else put there sends frames of
ours elsewhere, and shows as drift.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from networks.cnm.resources import ForwardingEntry, Key, Neighbour, Resource, Vxlan
from worker.kernel import rtnl, vxlan
from worker.kernel.netlink import Netlink
from worker.kernel.rtnl import Link
from worker.kernel.vxlan import Entry, VxlanLink
from worker.patience import pause_point

from .links import OUR_ALIAS


@dataclass(frozen=True, slots=True)
class Device:
    """A VXLAN device of the host, whoever's it is."""

    link: Link
    vxlan: VxlanLink

    @property
    def ours(self) -> bool:
        return self.link.alias.startswith(OUR_ALIAS)


class OverlayObserver:
    """Reads the VXLAN devices of a host."""

    def __init__(self, host: Netlink) -> None:
        self._host = host

    def observe(self, keys: Collection[Key] | None) -> list[Resource]:
        """What of *keys* exists; None: everything of ours. Two dumps for each device that *keys* name."""
        devices = self.devices() if keys is None else self.named({key[1] for key in keys})
        found: list[Resource] = []
        for device in devices:
            if device.ours:
                pause_point()
                found.append(self._vxlan(device))
                found += self._entries(device)
        if keys is None:
            return found
        wanted = set(keys)
        return [resource for resource in found if resource.key in wanted]

    def devices(self) -> list[Device]:
        """All VXLAN devices of the host."""
        return list(_devices(self._host.dump(rtnl.list_links("vxlan"))))

    def named(self, names: Iterable[str]) -> list[Device]:
        """Those of *names* that there are."""
        answers = self._host.exchange([rtnl.get_link(name) for name in sorted(names)])
        return list(_devices(answer.data for answer in answers if not answer.errno and answer.data is not None))

    def _vxlan(self, device: Device) -> Vxlan:
        link, made = device.link, device.vxlan
        return Vxlan(
            name=link.name,
            vni=made.vni,
            port=made.port,
            bridge=self._name_of(link.master),
            local=made.local,
            mtu=link.mtu,
            learning=made.learning or link.learns,
            up=link.up,
        )

    def _name_of(self, index: int) -> str:
        if not index:
            return ""
        (answer,) = self._host.exchange([rtnl.get_link(index)])
        return rtnl.read_link(answer.data).name if not answer.errno and answer.data is not None else ""

    def _entries(self, device: Device) -> Iterator[Resource]:
        name, index = device.link.name, device.link.index
        entries = self._read(vxlan.list_forwarding(index))
        bridged = {entry.mac for entry in entries if entry.address is None}
        for entry in entries:
            if entry.address is not None:
                yield ForwardingEntry(device=name, mac=entry.mac, remote=entry.address, bridged=entry.mac in bridged)
        for entry in self._read(vxlan.list_neighbours(index)):
            if entry.address is not None:
                yield Neighbour(device=name, address=entry.address, mac=entry.mac)

    def _read(self, request: bytes) -> list[Entry]:
        entries = map(vxlan.read_entry, self._host.dump(request))
        return [entry for entry in entries if entry is not None]


def _devices(messages: Iterable[memoryview]) -> Iterator[Device]:
    for message in messages:
        made = vxlan.read_vxlan(message)
        if made is not None:
            yield Device(rtnl.read_link(message), made)
