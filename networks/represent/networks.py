"""Networks with their subnets."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from networks.cnm import names
from networks.cnm.desired import OWN_IPAM, HostSettings
from networks.cnm.options import read_options
from networks.cnm.plugins import Plugin
from networks.cnm.underlay import encrypted_room
from networks.models import Network
from worker.drivers import DRIVERS
from worker.drivers.parents import mtu_of_parent

from .endpoints import bare_endpoint
from .hosts import plugin
from .related import related
from .values import Json, at, ref

DEFAULT_ROOM = 1450
"""The MTU of a network that spans hosts while nothing is known of what carries it."""

BRIDGE_NAME = "com.docker.network.bridge.name"


def network(row: Network) -> Json:
    """A network with its subnets and endpoints."""
    naming = HostSettings(names=row.host.settings.get("names", "cnm")).naming
    return {
        "id": row.id,
        "short_id": row.short_id,
        "name": row.name,
        "driver": row.driver,
        "scope": row.scope,
        "vni": row.vni,
        "internal": row.internal,
        "attachable": row.attachable,
        "enable_ipv6": row.enable_ipv6,
        "predefined": row.predefined,
        "subnets": [_subnet(row, item) for item in related(row, "subnets")],
        "options": row.options,
        "driver_state": row.driver_state or {},
        "ipam_driver": row.ipam_driver,
        "ipam_options": row.ipam_options,
        "plugins": _plugins(row),
        "labels": row.labels,
        "bridge": bridge_of(row, naming.bridge),
        "mtu": _mtu(row),
        "status": row.status,
        "error": row.error,
        "activation": row.activation,
        "created_at": at(row.created_at),
        "created_by": row.created_by,
        "host": row.host.name,
        "endpoints": [
            bare_endpoint(item) | {"container": ref(item.container)}
            for item in related(row, "endpoints")
            if not item.removing
        ],
    }


def _plugins(row: Network) -> list[Json]:
    """The plugins that make it or give its addresses, as its host's worker last saw them."""
    names = {name for name, own in ((row.driver, DRIVERS), (row.ipam_driver, OWN_IPAM)) if name not in own}
    known = [Plugin.from_json(value) for value in row.host.facts.get("plugins", ()) if value["name"] in names]
    return [plugin(item) for item in known]


def _mtu(row: Network) -> int:
    """The one that was asked for at most that of the device it stands on; else what carries the network leaves, or the host's."""
    facts = row.host.facts
    if row.driver not in DRIVERS:
        return int(facts.get("default_mtu", 1500))  # what its options mean is the plugin's to know
    asked = int(row.options.get("com.docker.network.driver.mtu", 0))
    if not asked and row.vni:
        room = row.host.underlay_room or DEFAULT_ROOM
        return encrypted_room(room) if read_options(row.options).encrypted else room
    of_parent = mtu_of_parent(row.options.get("parent", ""), dict(facts.get("devices", ())))
    return min(filter(None, (asked, of_parent)), default=int(facts.get("default_mtu", 1500)))


def bridge_of(row: Network, default: str) -> str:
    """The bridge device of a network; empty for drivers without one."""
    if row.vni:
        return names.bridge_device(row.id)
    if row.driver != "bridge":
        return ""
    given = row.options.get(BRIDGE_NAME, "")
    return given or (default if row.predefined else names.bridge_device(row.id))


def _subnet(row: Network, item: Any) -> Json:
    subnet, pool = ip_network(item.cidr), ip_network(item.ip_range or item.cidr)
    held = related(row, "endpoints")
    addresses = (text.partition("/")[0] for endpoint in held for text in (endpoint.ipv4, endpoint.ipv6))
    in_use = sum(1 for address in addresses if address and ip_address(address) in subnet)
    withheld = 2 if pool.version == 4 and pool.prefixlen < 31 and not item.ip_range else 0
    gateway = 1 if item.gateway and ip_address(item.gateway) in pool else 0
    room = pool.num_addresses - withheld - gateway - len(item.reserved)
    return {
        "subnet": item.cidr,
        "gateway": item.gateway,
        "ip_range": item.ip_range,
        "aux_addresses": item.reserved,
        "vni": item.vni or row.vni,
        "in_use": in_use,
        "available": min(max(room - in_use, 0), 2**63 - 1),
    }
