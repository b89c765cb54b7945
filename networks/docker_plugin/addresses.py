"""``IpamDriver``'s calls: ranges and addresses for the engine's networks.

A pool's id says what it is: its range, and the part of it that addresses are taken from. So nothing need be kept of a range that the
engine has asked for and not made a network of yet; it is only left out for a while of what others are offered.
"""

from __future__ import annotations

import threading
import time
from ipaddress import ip_network

from networks.cnm.addresses import AnyAddress, AnyNetwork, default_gateway
from networks.cnm.errors import Conflict, InvalidSpec
from networks.cnm.text import gettext_noop
from networks.models import Subnet
from networks.models.network import GLOBAL
from networks.services import docker_networks as services
from networks.services.body import address_value

from .call import Call, Value, flag_in, malformed, range_in, text_in
from .networks import DRIVER, NETWORK

SPACES = {"LocalDefaultAddressSpace": "cnm-local", "GlobalDefaultAddressSpace": "cnm-global"}
GATEWAY = "com.docker.network.gateway"
"""``netlabel.Gateway``: in a pool's data its gateway, and the type of the request for one."""
TYPE = "RequestAddressType"
OFFER_S = 30.0
"""How long a range that was offered is not offered to others. The engine makes its network at once."""


def request_pool(call: Call) -> Value:
    options = call.mapping("Options")
    for name in options:
        if name not in {NETWORK, DRIVER}:
            raise InvalidSpec(
                gettext_noop("The option {key} is not known."),
                remedy=gettext_noop("Known options are {known}."),
                field=name,
                key=name,
                known=", ".join((NETWORK, DRIVER)),
            )
    version = 6 if flag_in(call.body, "V6") else 4
    asked, ip_range = range_in(call.body, "Pool"), range_in(call.body, "SubPool")
    reference, driver = text_in(options, NETWORK), text_in(options, DRIVER) or "bridge"
    known = services.subnet_of(call.host, reference, version) if reference else None
    if known is not None:
        cidr = ip_network(known.cidr)
        if asked not in {None, cidr}:
            raise _another(known, asked)
        if asked is None and known.network.scope != GLOBAL:
            raise _unnamed(known)
    elif asked is not None:
        cidr, known = asked, services.known_subnet(call.host, str(asked))
    else:
        cidr = _offers.new(call, version, driver)
    if ip_range is not None and not _inside(ip_range, cidr):
        raise malformed("SubPool")
    gateway = known.gateway if known is not None else str(default_gateway(cidr, ip_range, ()) or "")
    return {
        "PoolID": ",".join(str(item) for item in (cidr, ip_range) if item is not None),
        "Pool": str(cidr),
        "Data": {GATEWAY: f"{gateway}/{cidr.prefixlen}"} if gateway else {},
    }


def release_pool(call: Call) -> Value:
    _read_pool(call)
    return {}


def request_address(call: Call) -> Value:
    cidr, ip_range = _read_pool(call)
    text = call.text("Address")
    wanted = address_value("Address", text.partition("/")[0], cidr.version) if text else None
    known = services.known_subnet(call.host, str(cidr))
    if text_in(call.mapping("Options"), TYPE) == GATEWAY:
        address = _gateway(wanted, known, cidr, ip_range)
    elif known is None and wanted is not None:
        address = wanted  # an address that its network, which comes next, keeps from everybody
    else:
        address = services.promise_address(call.actor, call.host, str(cidr), wanted, ip_range)
    return {"Address": f"{address}/{cidr.prefixlen}", "Data": {}}


def release_address(call: Call) -> Value:
    cidr, _ = _read_pool(call)
    address = address_value("Address", call.text("Address").partition("/")[0], cidr.version)
    services.give_back_address(call.later, call.host, str(cidr), address)
    return {}


class _Offers:
    """Ranges that were offered a moment ago."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[AnyNetwork, float] = {}

    def new(self, call: Call, version: int, driver: str) -> AnyNetwork:
        """A free range that was offered to nobody in the last :data:`OFFER_S`."""
        with self._lock:
            now = time.monotonic()
            self._until = {cidr: until for cidr, until in self._until.items() if until > now}
            found = services.free_range(call.host, version, driver, self._until)
            self._until[found] = now + OFFER_S
            return found


_offers = _Offers()


def _read_pool(call: Call) -> tuple[AnyNetwork, AnyNetwork | None]:
    cidr, comma, part = call.text("PoolID").partition(",")
    try:
        pool, within = ip_network(cidr), ip_network(part) if comma else None
    except ValueError:
        raise malformed("PoolID") from None
    if within is not None and not _inside(within, pool):
        raise malformed("PoolID")
    return pool, within


def _inside(part: AnyNetwork, whole: AnyNetwork) -> bool:
    return part.version == whole.version and part.subnet_of(whole)  # type: ignore[arg-type]  # of one version


def _gateway(
    wanted: AnyAddress | None, known: Subnet | None, cidr: AnyNetwork, ip_range: AnyNetwork | None
) -> AnyAddress | str:
    if known is None:
        return wanted or default_gateway(cidr, ip_range, ()) or ""
    if wanted is not None and str(wanted) != known.gateway:
        raise Conflict(
            gettext_noop("The gateway of network {network} is {gateway}."),
            remedy=gettext_noop("Leave the gateway out."),
            field="Address",
            network=known.network.name,
            gateway=known.gateway or "-",
        )
    return known.gateway


def _unnamed(known: Subnet) -> Conflict:
    """The engine compares a range that it did not name with the host's routes, and asks again, without end, where one leads there."""
    return Conflict(
        gettext_noop(
            "The subnet {subnet} of network {network} has a route on this host, so Docker must be told of it."
        ),
        remedy=gettext_noop("Give --subnet {subnet}, too."),
        field="Pool",
        network=known.network.name,
        subnet=known.cidr,
    )


def _another(known: Subnet, asked: AnyNetwork | None) -> Conflict:
    return Conflict(
        gettext_noop("The subnet of network {network} is {subnet}, not {asked}."),
        remedy=gettext_noop("Leave the subnet out."),
        field="Pool",
        network=known.network.name,
        subnet=known.cidr,
        asked=asked or "-",
    )
