"""Writing bridges and their addresses on the host."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from networks.cnm.errors import CnmError, Conflict
from networks.cnm.names import random_mac
from networks.cnm.plan import Step
from networks.cnm.resources import Address, Bridge
from networks.cnm.text import gettext_noop
from worker.kernel import rtnl, sysctl
from worker.kernel.ledger import Ledger
from worker.kernel.netlink import Netlink
from worker.kernel.rtnl import Link
from worker.observe.links import OUR_ALIAS, address_entry, bridge_entry

from .batch import Batch, Unfinished, not_tried, refused

_SYSCTLS = (("ipv4", "route_localnet"), ("ipv6", "disable_ipv6"), ("ipv6", "accept_ra"))


class Bridges:
    """Bridges of networks. One that was there before us gets its old settings back instead of being deleted."""

    def __init__(self, host: Netlink, ledger: Ledger) -> None:
        self._host = host
        self._ledger = ledger

    def link(self, name: str) -> Link | None:
        """The link *name* of the host, or None."""
        (answer,) = self._host.exchange([rtnl.get_link(name)])
        return rtnl.read_link(answer.data) if not answer.errno and answer.data is not None else None

    def write(self, steps: Sequence[Step]) -> Unfinished:
        """Create and change bridges, then add addresses."""
        bridges = [step for step in steps if isinstance(step.after, Bridge)]
        addresses = [step for step in steps if isinstance(step.after, Address)]
        for place, step in enumerate(bridges):
            failed = self._write_bridge(step)
            if failed:
                return not_tried([*bridges[place + 1 :], *addresses]) | failed
        return self._add_addresses(addresses)

    def remove(self, steps: Sequence[Step]) -> Unfinished:
        """Remove addresses and bridges."""
        bridges = [step for step in steps if isinstance(step.resource, Bridge)]
        leaving = {step.resource.key[1] for step in bridges if self._goes(step.resource.key[1])}
        failed: Unfinished = {}
        for step in steps:
            if isinstance(step.resource, Address) and step.resource.device not in leaving:
                failed |= self._remove_address(step, step.resource)
        batch = Batch(self._host)
        for step in bridges:
            name = step.resource.key[1]
            if name in leaving:
                batch.add(step, rtnl.delete_link(name), fine=(errno.ENODEV,))
            else:
                self._give_back(step, name)
        return failed | batch.send()

    def _write_bridge(self, step: Step) -> Unfinished:
        bridge = step.after
        assert isinstance(bridge, Bridge)  # noqa: S101  # the caller chose it
        link = self.link(bridge.name)
        if link is None:
            failed = self._create(step, bridge)
            if failed:
                return failed
        elif link.kind != "bridge":
            return {id(step): _not_a_bridge(bridge)}
        elif not link.alias.startswith(OUR_ALIAS):
            self._remember(link)
        try:
            for family, key, value in (
                ("ipv4", "route_localnet", bridge.route_localnet),
                ("ipv6", "disable_ipv6", not bridge.ipv6),
                ("ipv6", "accept_ra", False),
            ):
                sysctl.write_where_present(sysctl.of_link(family, bridge.name, key), str(int(value)))
        except OSError as error:
            return {id(step): refused(step, error.errno or 0)}
        batch = Batch(self._host)
        # The MTU is set, not given at birth: only then does the bridge keep it when ports come and go.
        batch.add(step, rtnl.set_link(bridge.name, mtu=bridge.mtu, up=True))
        return batch.send()

    def _create(self, step: Step, bridge: Bridge) -> Unfinished:
        batch = Batch(self._host)
        batch.add(step, rtnl.create_bridge(bridge.name, random_mac()))
        batch.add(step, rtnl.set_link(bridge.name, alias=bridge.owner.tag))
        return batch.send()

    def _add_addresses(self, steps: Sequence[Step]) -> Unfinished:
        batch = Batch(self._host)
        indexes: dict[str, Link | None] = {}
        missing: Unfinished = {}
        for step in steps:
            address = step.after
            assert isinstance(address, Address)  # noqa: S101  # the caller chose them
            if address.device not in indexes:
                indexes[address.device] = self.link(address.device)
            link = indexes[address.device]
            if link is None:
                missing[id(step)] = refused(step, errno.ENODEV)
                continue
            if self._ledger.get(bridge_entry(link.name)) is not None:
                self._remember_address(link, address)
            batch.add(step, rtnl.add_address(link.index, address.address), fine=(errno.EEXIST,))
        return missing | batch.send()

    def _remove_address(self, step: Step, address: Address) -> Unfinished:
        link = self.link(address.device)
        if link is None:
            return {}
        if not link.alias.startswith(OUR_ALIAS) and not self._ledger.drop(address_entry(address)):
            return {}  # it was there before us
        batch = Batch(self._host)
        gone = (errno.EADDRNOTAVAIL, errno.ENODEV)
        batch.add(step, rtnl.delete_address(link.index, address.address), fine=gone)
        return batch.send()

    def _goes(self, name: str) -> bool:
        link = self.link(name)
        return link is not None and link.kind == "bridge" and link.alias.startswith(OUR_ALIAS)

    def _remember(self, link: Link) -> None:
        """Note what a bridge that was there before us was like, once."""
        if self._ledger.get(bridge_entry(link.name)) is None:
            old = {key: sysctl.read(sysctl.of_link(family, link.name, key)) for family, key in _SYSCTLS}
            self._ledger.put(bridge_entry(link.name), {"mtu": link.mtu, "up": link.up, "sysctls": old})

    def _remember_address(self, link: Link, address: Address) -> None:
        """Note whether we are the ones who add the address, or found it there."""
        if self._ledger.get(address_entry(address)) is None:
            found = map(rtnl.read_address, self._host.dump(rtnl.list_addresses(link.index)))
            self._ledger.put(address_entry(address), all(item.address != address.address for item in found))

    def _give_back(self, step: Step, name: str) -> None:
        """Leave a bridge that was there before us, as it was where it is still as we made it."""
        old: dict[str, Any] | None = self._ledger.drop(bridge_entry(name))
        link = self.link(name)
        if old is None or link is None or not isinstance(step.before, Bridge):
            return
        ours = {
            "route_localnet": str(int(step.before.route_localnet)),
            "disable_ipv6": str(int(not step.before.ipv6)),
            "accept_ra": "0",
        }
        for family, key in _SYSCTLS:
            setting, value = sysctl.of_link(family, name, key), old["sysctls"].get(key)
            if value is not None and sysctl.read(setting) == ours[key] != value:
                sysctl.write(setting, value)
        mtu = old["mtu"] if link.mtu == step.before.mtu != old["mtu"] else None
        if mtu is not None or not old["up"]:
            self._host.exchange([rtnl.set_link(name, mtu=mtu, up=None if old["up"] else False)])


def _not_a_bridge(bridge: Bridge) -> CnmError:
    return Conflict(
        gettext_noop("A device named {name} exists on the host and is not a bridge."),
        remedy=gettext_noop("Give the network another bridge name, or remove that device."),
        field="options.com.docker.network.bridge.name",
        subject=f"device {bridge.name}",
        name=bridge.name,
        facts={"key": list(bridge.key)},
    )
