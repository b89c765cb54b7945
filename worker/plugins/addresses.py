"""Ranges and addresses of an IPAM plugin: asking for them, and giving them back (libnetwork, ``docs/ipam.md``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from networks.cnm.errors import Conflict, PluginRefused
from networks.cnm.plugin_resources import AddressLease, AddressPool
from networks.cnm.text import gettext_noop

from . import words
from .plugins import Plugin
from .told import Entry, Ledger
from .words import Nonsense

POOL, ADDRESS, SPACES = (
    "IpamDriver.RequestPool",
    "IpamDriver.RequestAddress",
    "IpamDriver.GetDefaultAddressSpaces",
)
GATEWAY_REQUEST = {words.REQUEST_TYPE: words.GATEWAY}
Undo = Callable[[], None]
"""Gives back what was got so far."""


def tell_pool(plugin: Plugin, ledger: Ledger, pool: AddressPool, undo: Undo) -> None:
    """Have the plugin keep a range for a network, with its gateway and what is reserved there. Whole, or not at all.

    Raises what the plugin's refusal or silence raises.
    """
    space = str(plugin.ask(SPACES).get(_SPACE[pool.scope]) or "")
    identity = plugin.address.identity
    held: dict[str, Any] = {"space": space, "addresses": []}
    ledger.put(Entry(pool, None, identity, held))
    method = POOL
    try:
        subnet, gateway = _range(plugin, pool, space, held)
        ledger.put(Entry(pool, None, identity, held))
        method, number = ADDRESS, held["pool_id"]

        def address(asked: str, options: dict[str, str]) -> str:
            answer = plugin.ask(ADDRESS, words.address_said(number, asked, options))
            got, spelled = words.read_address(answer, subnet, asked)
            held["addresses"].append(spelled)
            ledger.put(Entry(pool, None, identity, held))
            return got

        if pool.shared:
            gateway = pool.gateway
        elif pool.gateway or not gateway:
            gateway = address(pool.gateway, GATEWAY_REQUEST)
        for _, reserved in () if pool.shared else pool.reserved:
            address(reserved, {})
    except Nonsense as nonsense:
        ledger.put(Entry(pool, None, identity, held))
        undo()
        raise plugin.babbles(method, str(nonsense)) from nonsense
    except PluginRefused:
        undo()
        raise
    ledger.put(Entry(pool, {"subnet": subnet, "gateway": gateway}, identity, held))


_SPACE = {"local": "LocalDefaultAddressSpace", "global": "GlobalDefaultAddressSpace"}


def _range(plugin: Plugin, pool: AddressPool, space: str, held: dict[str, Any]) -> tuple[str, str]:
    """Subnet and gateway of the range; *held* learns its number. One that the plugin chose itself may be another one this time."""
    wanted = pool.asked or pool.former
    try:
        answer = plugin.ask(POOL, words.pool_said(pool, space, wanted))
    except PluginRefused:
        if pool.asked or not wanted:
            raise
        answer = plugin.ask(POOL, words.pool_said(pool, space, ""))
    held["pool_id"] = words.read_pool_id(answer)  # from now on it can be given back, whatever else the answer says
    subnet, gateway = words.read_pool(answer, pool.version)
    if pool.asked and ip_network(subnet) != ip_network(pool.asked):
        raise Nonsense(f"{pool.asked} was asked for, and it gave {subnet}")
    return subnet, gateway


def tell_lease(plugin: Plugin, ledger: Ledger, lease: AddressLease, undo: Undo) -> None:
    """Have the plugin give an endpoint an address: the one that a person asked for, else the one that it had, else any."""
    pool = _pool_of(ledger, lease)
    number, subnet = pool.undo["pool_id"], pool.answer["subnet"] if pool.answer else ""
    requires = plugin.capabilities.get("IpamDriver", {}).get("RequiresMACAddress") is True
    mac = (lease.mac or _mac(lease)) if requires else ""
    options = {words.MAC_ADDRESS: mac} if mac else {}

    def request(address: str) -> dict[str, Any]:
        held = {"pool_id": number, "address": address}
        ledger.put(Entry(lease, None, plugin.address.identity, held))
        return plugin.ask(ADDRESS, words.address_said(number, address, options))

    try:
        wanted = lease.asked or lease.former
        try:
            answer = request(wanted)
        except PluginRefused:
            if lease.asked or not wanted:
                raise
            answer = request("")
        got, spelled = words.read_address(answer, subnet, lease.asked)
    except Nonsense as nonsense:
        undo()
        raise plugin.babbles(ADDRESS, str(nonsense)) from nonsense
    except PluginRefused as error:
        if "unknown" in error.facts:
            ledger.drop(lease.key)  # what it refused it has not given
        else:
            undo()
        raise
    held = {"pool_id": number, "address": spelled}
    ledger.put(Entry(lease, {"address": got, "mac": mac}, plugin.address.identity, held))


def _pool_of(ledger: Ledger, lease: AddressLease) -> Entry:
    """The range of the lease's network and family, that with the address which is wanted first."""
    found = [
        entry
        for entry in ledger.entries().values()
        if isinstance(entry.resource, AddressPool)
        and entry.answer is not None
        and (entry.resource.network_id, entry.resource.version) == (lease.network_id, lease.version)
    ]
    wanted = lease.asked or lease.former
    if wanted:
        found.sort(key=lambda entry: ip_address(wanted) not in ip_network((entry.answer or {})["subnet"]))
    if not found:
        raise Conflict(
            gettext_noop("The plugin {plugin} keeps no range of addresses for this network."),
            remedy=gettext_noop("Repair the network, then the container."),
            subject=f"plugin {lease.plugin}",
            plugin=lease.plugin,
        )
    return found[0]


def _mac(lease: AddressLease) -> str:
    digits = lease.endpoint_id[:8]
    return "02:42:" + ":".join(digits[at : at + 2] for at in range(0, 8, 2))


def space_of(ledger: Ledger, network_id: str) -> str:
    """The address space of a network whose ranges an IPAM plugin keeps."""
    found = (entry for entry in ledger.entries().values() if isinstance(entry.resource, AddressPool))
    return next((str(entry.undo.get("space", "")) for entry in found if entry.resource.network_id == network_id), "")


def mac_of(ledger: Ledger, endpoint_id: str) -> str:
    """The MAC that an IPAM plugin gave an address for; empty where it wanted none."""
    for version in ("4", "6"):
        entry = ledger.get((AddressLease.kind, endpoint_id, version))
        if entry is not None and entry.answer and entry.answer["mac"]:
            return str(entry.answer["mac"])
    return ""


def endings(entry: Entry) -> Iterator[tuple[str, dict[str, Any]]]:
    """The calls that give back what *entry* says. Of a range or an address that the plugin may have given unheard nothing is known
    that could be given back."""
    number = entry.undo.get("pool_id")
    if not number:
        return
    given = entry.undo["addresses"] if isinstance(entry.resource, AddressPool) else [entry.undo["address"]]
    for address in filter(None, given):
        yield "IpamDriver.ReleaseAddress", {"PoolID": number, "Address": address}
    if isinstance(entry.resource, AddressPool):
        yield "IpamDriver.ReleasePool", {"PoolID": number}
