"""One call of a Docker Engine as its handler sees it, and what every handler needs."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

from networks.cnm.addresses import AnyNetwork
from networks.cnm.errors import InvalidSpec, Unavailable, from_json
from networks.cnm.text import gettext_noop
from networks.engine.call import Ended, Steps
from networks.engine.threads import in_thread
from networks.models import Host
from networks.represent import is_alive
from networks.services.actor import Actor
from networks.services.body import network_value
from networks.services.outcome import Outcome

log = logging.getLogger("networks.docker_plugin")

ACTOR = "docker"
"""Who has done it, in the activity log."""
WAIT_S = 60.0
"""How long a call waits for the worker. The engine itself waits for ever."""
AWAKE_S = 25.0
"""How long a call waits for a worker that does not answer, before it is refused."""
MOST_NUMBER = 65535
_ID = re.compile(r"[0-9a-f]{64}\Z")

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, with the host that it is about."""

    actor: Actor
    host: Host
    body: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A field that is text; empty where it is missing. Raises :class:`InvalidSpec`."""
        return text_in(self.body, name)

    def id(self, name: str) -> str:
        """An id of the engine's: 64 hexadecimal digits, of which kernel names are made. Raises :class:`InvalidSpec`."""
        value = self.text(name)
        if not _ID.match(value):
            raise malformed(name)
        return value

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A field that is an object; empty where it is missing. Raises :class:`InvalidSpec`."""
        return mapping_in(self.body, name)

    def objects(self, name: str) -> list[Mapping[str, Any]]:
        """A field that is a list of objects. Raises :class:`InvalidSpec`."""
        return objects_in(self.body, name)

    @property
    def later(self) -> Actor:
        """Who takes something away: that waits for a worker that does not answer, for the engine goes on without it."""
        return replace(self.actor, queue_anyway=True)


def text_in(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise malformed(name)
    return value or ""


def flag_in(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise malformed(name)
    return value or False


def number_in(body: Mapping[str, Any], name: str) -> int:
    """A field that is a number of 16 bits, as ports and protocols are; 0 where it is missing. Raises :class:`InvalidSpec`."""
    value = body.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_NUMBER:
        raise malformed(name)
    return value


def mapping_in(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise malformed(name)
    return value or {}


def objects_in(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise malformed(name)
    return value


def range_in(body: Mapping[str, Any], name: str) -> AnyNetwork | None:
    """A range of addresses, as Docker takes one: 10.5.0.7/24 for 10.5.0.0/24. None where it is missing. Raises :class:`InvalidSpec`."""
    text = text_in(body, name)
    if not text:
        return None
    with suppress(ValueError):
        text = str(ip_network(text, strict=False))
    return network_value(name, text)


def malformed(name: str) -> InvalidSpec:
    """The refusal of a field that is not as the protocol says."""
    return InvalidSpec(
        gettext_noop("{name} is not what the protocol of network plugins says."),
        remedy=gettext_noop("See libnetwork's remote drivers for what it is."),
        field=name,
        name=name,
    )


@dataclass(frozen=True, slots=True)
class Awake:
    """A handler goes on when the worker of *host* answers, or has not for :data:`AWAKE_S`."""

    host: Host

    async def wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(AWAKE_S):
                while not await in_thread(self._answers):  # noqa: ASYNC110  # heartbeats are told to nobody
                    await asyncio.sleep(0.2)

    def _answers(self) -> bool:
        self.host.refresh_from_db(fields=["heartbeat_at"])
        return is_alive(self.host)


def awake(call: Call) -> Steps[None]:
    """Go on when the worker is there: at a boot an engine starts its containers at the same moment as we start."""
    if not is_alive(call.host):
        yield Awake(call.host)


def real(outcome: Outcome) -> Steps[None]:
    """Go on when the worker is through with *outcome*. Raises its failure, and :class:`Unavailable` where it takes too long."""
    if outcome.operation is None:
        return
    operation = yield Ended(outcome.operation, WAIT_S)
    if not operation.finished:
        raise Unavailable(
            gettext_noop("Operation {number} still goes on."),
            remedy=gettext_noop("See the list of operations."),
            number=operation.number,
        )
    if operation.state == "failed" and operation.error:
        raise from_json(operation.error)


def gone(outcome: Outcome) -> Steps[None]:
    """As :func:`real`, for what is taken away: a failure, or a worker that is away, is no business of the engine's."""
    if outcome.operation is not None:
        operation = yield Ended(outcome.operation, WAIT_S if is_alive(outcome.operation.host) else 0)
        if operation.state != "done":
            log.warning("operation %s is %s: the engine does not wait for it", operation.number, operation.state)
