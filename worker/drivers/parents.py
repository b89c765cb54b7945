"""Devices of the host on which networks in its LAN stand, and their VLANs: what is a parent, and what is made for want of one.

As Docker does (libnetwork, ``drivers/macvlan/macvlan_setup.go``) a sub-interface ``<device>.<VLAN id>`` that the host has is used and
stays; where it has none it is made with the network, and goes with the last network on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from networks.cnm.desired import Network
from networks.cnm.errors import InvalidSpec, NotFound, Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.options import LAST_VLAN, vlan_of
from networks.cnm.resources import Owner, Resource, Vlan
from networks.cnm.text import Text, gettext_noop

from .base import Surroundings

PARENT = "options.parent"

_VLAN = gettext_noop("Network {network} stands on VLAN {number} of {parent}, for which the host had no device.")


def check_parent(network: Network, facts: HostFacts) -> None:
    """Raises a CnmError when *network* cannot stand on the parent that it names."""
    parent = network.options.parent
    if not parent:
        raise InvalidSpec(
            gettext_noop("A {driver} network stands on a device of the host, and none is named."),
            remedy=gettext_noop("Give the option parent: one of {known}."),
            field=PARENT,
            driver=network.driver,
            known=_known(facts),
        )
    if not facts.version:
        return
    most = mtu_of_parent(parent, dict(facts.devices))
    if not facts.mtu_of(parent):
        _check_vlan(parent, facts)
    if network.options.mtu > most:
        raise InvalidSpec(
            gettext_noop("The MTU {mtu} is more than that of {parent}, {most}."),
            remedy=gettext_noop("Give at most {most}, or leave it out to have the parent's."),
            field="options.com.docker.network.driver.mtu",
            mtu=network.options.mtu,
            parent=parent,
            most=most,
        )


def mtu_of_parent(parent: str, devices: Mapping[str, int]) -> int:
    """The MTU of *parent* where *devices* (name -> MTU) can be stood on, also of a VLAN of one of them that is made by us; 0 where
    nothing is known of it."""
    vlan = vlan_of(parent)
    return devices.get(parent, 0) or (devices.get(vlan[0], 0) if vlan is not None else 0)


def compile_parent(network: Network, around: Surroundings) -> Iterator[Resource]:
    """The VLAN that *network* stands on, where nobody else made it: devices of ours are not among the facts."""
    vlan, facts = vlan_of(network.options.parent), around.facts
    if vlan is None or not facts.version or facts.mtu_of(network.options.parent):
        return
    device, number = vlan
    yield Vlan(
        name=network.options.parent,
        parent=device,
        number=number,
        mtu=facts.mtu_of(device) or facts.default_mtu,
        owner=Owner(kind="network", id=network.id, name=network.name),
        why=Text.of(_VLAN, network=network.name, number=number, parent=device),
    )


def _check_vlan(parent: str, facts: HostFacts) -> None:
    device, number = vlan_of(parent) or ("", 0)
    if not facts.mtu_of(device):
        raise _no_parent(parent, facts)
    if not 1 <= number <= LAST_VLAN:
        raise InvalidSpec(
            gettext_noop("{parent} would be VLAN {number} of {device}, and there is none."),
            remedy=gettext_noop("Give a VLAN from 1 to {last}."),
            field=PARENT,
            parent=parent,
            number=number,
            device=device,
            last=LAST_VLAN,
        )
    feature = facts.feature("link.vlan")
    if feature is not None and feature.present is False:
        raise Unsupported(
            gettext_noop("{parent} would be a VLAN sub-interface of {base}, and this host cannot make one: {detail}"),
            remedy=feature.remedy,
            field=PARENT,
            parent=parent,
            base=device,
            detail=feature.detail,
        )


def _no_parent(parent: str, facts: HostFacts) -> NotFound:
    return NotFound(
        gettext_noop("The host has no device {parent} that a network could stand on."),
        remedy=gettext_noop(
            "Give one of {known}; a port of a bridge, a macvlan, and a device without Ethernet frames cannot be one."
        ),
        field=PARENT,
        parent=parent,
        known=_known(facts),
    )


def _known(facts: HostFacts) -> str:
    return ", ".join(name for name, _ in facts.devices) or "(none)"
