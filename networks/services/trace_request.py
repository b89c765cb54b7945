"""A question about a packet, read from a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from networks.cnm.text import gettext_noop
from networks.tracing import PROTOCOLS, STATES, Request

from .body import Body, bad

MOST_TEXT = 128


def read_trace(value: Mapping[str, Any]) -> Request:
    """Raises InvalidSpec naming the field; ``from`` and ``to`` are looked up later."""
    body = Body(value)
    request = Request(
        source=body.text("from", most=MOST_TEXT),
        destination=body.text("to", most=MOST_TEXT),
        protocol=body.choice("protocol", "tcp", PROTOCOLS),
        port=body.integer("port", 0, most=65535),
        interface=body.text("interface", "", most=15),
        source_port=body.integer("source_port", 0, most=65535),
        state=body.choice("state", "new", STATES),
    )
    body.finish()
    if request.protocol != "icmp" and not request.port:
        raise bad("port", gettext_noop("A port is missing."), gettext_noop("Give the port that is called, 1 to 65535."))
    return request
