"""Published and exposed ports, in Docker's short spelling or as objects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from networks.cnm.addresses import AnyAddress, AnyNetwork
from networks.cnm.text import gettext_noop

from .body import Body, address_value, bad, network_value, text_value

PROTOCOLS = ("tcp", "udp", "sctp")
MAX_RANGE = 16384
MOST_SOURCES = 256
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?\Z", re.ASCII)
_SPELLING = gettext_noop("Write a port as [address:][host-port:]container-port[/tcp|udp|sctp]; both may be ranges.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRequest:
    """One published port; ``host_port`` 0: any free one."""

    container_port: int
    host_port: int = 0
    host_port_end: int = 0
    """With it, any free one from ``host_port`` to this."""
    host_address: AnyAddress | None = None
    protocol: str = "tcp"
    allowed_sources: tuple[AnyNetwork, ...] = ()


def read_port(field: str, value: object) -> tuple[PortRequest, ...]:
    """One item of ``ports``: a string (which may be a range, so several ports) or an object."""
    if isinstance(value, str):
        return _short(field, text_value(field, value, most=128))
    if isinstance(value, int) and not isinstance(value, bool):
        return _short(field, str(value))
    return (_object(field, value),)


def read_sources(body: Body) -> tuple[AnyNetwork, ...]:
    """``allowed_sources`` of a published port; an empty list lets everybody in."""
    return body.each("allowed_sources", network_value, most=MOST_SOURCES)


def read_exposed(field: str, value: object) -> tuple[tuple[int, str], ...]:
    """One item of ``exposed_ports``: ``80``, ``53/udp``, ``7000-7010/tcp``."""
    text = text_value(field, str(value) if isinstance(value, int) else value, most=32)
    ports, protocol = _protocol(field, text)
    return tuple((port, protocol) for port in _range(field, ports))


def _object(field: str, value: Any) -> PortRequest:
    body = Body(value, field)
    request = PortRequest(
        container_port=body.integer("container_port", -1, least=1, most=65535),
        host_port=body.integer("host_port", 0, most=65535),
        host_port_end=body.integer("host_port_end", 0, most=65535),
        host_address=body.address("host_address"),
        protocol=body.choice("protocol", "tcp", PROTOCOLS),
        allowed_sources=read_sources(body),
    )
    body.finish()
    if request.host_port_end and not 0 < request.host_port < request.host_port_end:
        raise bad(
            f"{field}.host_port_end",
            gettext_noop("A range of host ports ends above its first port."),
            gettext_noop("Give host_port and a larger host_port_end, or leave host_port_end out."),
        )
    return request


def _short(field: str, text: str) -> tuple[PortRequest, ...]:
    rest, protocol = _protocol(field, text)
    address = None
    if rest.startswith("["):
        inside, _, rest = rest[1:].partition("]:")
        address = address_value(field, inside, 6)
    parts = rest.split(":")
    if len(parts) == 3 and address is None:
        address = address_value(field, parts[0], 4) if parts[0] else None
        parts = parts[1:]
    if len(parts) > 2:
        raise bad(field, gettext_noop("{text} is not a port."), _SPELLING, text=repr(text))
    inner = _range(field, parts[-1])
    outer = _range(field, parts[0]) if len(parts) == 2 and parts[0] else range(0)
    if len(inner) == 1 and len(outer) > 1:  # as in Docker: the first free of them
        return (
            PortRequest(
                container_port=inner[0],
                host_port=outer[0],
                host_port_end=outer[-1],
                host_address=address,
                protocol=protocol,
            ),
        )
    if len(outer) and len(outer) != len(inner):
        raise bad(
            field,
            gettext_noop("{text} has {outer} host ports for {inner} container ports."),
            gettext_noop("Give ranges of one length, or one container port."),
            text=repr(text),
            outer=len(outer),
            inner=len(inner),
        )
    return tuple(
        PortRequest(
            container_port=port, host_port=outer[number] if len(outer) else 0, host_address=address, protocol=protocol
        )
        for number, port in enumerate(inner)
    )


def _protocol(field: str, text: str) -> tuple[str, str]:
    rest, _, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise bad(
            field,
            gettext_noop("{protocol} is not a protocol of ports."),
            gettext_noop("Give tcp, udp or sctp."),
            protocol=repr(protocol),
        )
    return rest, protocol


def _range(field: str, text: str) -> range:
    found = _RANGE.match(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last <= 65535 or last - first >= MAX_RANGE:
        raise bad(field, gettext_noop("{text} is not a port or a range of ports."), _SPELLING, text=repr(text))
    return range(first, last + 1)
