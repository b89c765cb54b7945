"""What a form offers beside its fields: the next free subnet, address or port. Field -> value."""

from __future__ import annotations

from networks.models import Host, Network
from networks.services.offers import next_address, next_port, next_subnet
from networks.services.spec_ports import PROTOCOLS

from .form import Form

MOST_ROWS = 20
"""For how many rows something is looked up at most."""


def network_offers(host: Host, form: Form) -> dict[str, str]:
    """Subnets for a network: of IPv4 in the first row, of IPv6 in the first row that is free for it."""
    offers = {}
    subnet = next_subnet(host)
    if subnet is not None and _is_open(form, "subnets.0.subnet"):
        offers["subnets.0.subnet"] = str(subnet)
    elif form.flag("enable_ipv6") and not any(":" in row.get("subnet", "") for row in form.rows("subnets")):
        subnet = next_subnet(host, 6)
        row = len(form.rows("subnets"))
        if subnet is not None:
            offers[f"subnets.{row}.subnet"] = str(subnet)
    return offers


def container_offers(host: Host, form: Form) -> dict[str, str]:
    """Addresses on the networks that are chosen, and host ports for the container's."""
    return (
        address_offers(host, form, "network", "")
        | {
            name: value
            for number in range(min(len(form.rows("networks")), MOST_ROWS))
            for name, value in address_offers(host, form, f"networks.{number}.network", f"networks.{number}.").items()
        }
        | port_offers(host, form)
    )


def address_offers(host: Host, form: Form, network_field: str, prefix: str) -> dict[str, str]:
    """Addresses on the network that stands in *network_field*, for the fields ``ipv4`` and ``ipv6`` after *prefix*."""
    name = form.value(network_field).strip()
    network = Network.objects.filter(host=host, name=name, removing=False).first() if name else None
    if network is None:
        return {}
    found = {f"{prefix}ipv{version}": next_address(network, version) for version in (4, 6)}
    return {field: str(address) for field, address in found.items() if address is not None and _is_open(form, field)}


def port_offers(host: Host, form: Form) -> dict[str, str]:
    """A free host port for each row that has none, or one that is refused."""
    offers: dict[str, str] = {}
    for number, row in enumerate(form.rows("ports")[:MOST_ROWS]):
        field, port = f"ports.{number}.host_port", row.get("container_port", "").strip()
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536) or not _is_open(form, field):
            continue
        protocol = row.get("protocol", "")
        found = next_port(host, int(port), protocol if protocol in PROTOCOLS else "tcp")
        if found and str(found) not in offers.values():
            offers[field] = str(found)
    return offers


def _is_open(form: Form, field: str) -> bool:
    """Whether a field waits for a value, or has one that is refused."""
    return not form.value(field).strip() or bool(form.error(field))
