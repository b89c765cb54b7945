"""Reserving host ports through the port holder."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Collection, Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from networks.cnm.errors import Conflict, InvalidSpec, KernelRefused, Unavailable, Unsupported
from networks.cnm.plan import Step
from networks.cnm.resources import Key, PortReservation, Resource
from networks.cnm.text import Text, gettext_noop
from worker.handler import Done
from worker.kernel.sockets import holder_of

ANSWER_TIMEOUT_S = 30.0
START_TIMEOUT_S = 5.0
"""How long the holder may be away: one that died is started again by itself."""


class PortsHandler:
    """Looks after host ports; *path* is the holder's socket."""

    kinds = frozenset({PortReservation.kind})

    def __init__(self, path: Path) -> None:
        self._path = path

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        if keys is not None and not keys:
            return ()
        # A host may hold thousands: only what is asked for travels.
        asked = {} if keys is None else {"about": [_named(key) for key in keys]}
        return tuple(_reservation(item) for item in self._ask(asked)["ports"])

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """All steps in one batch: every port, or none. Raises Conflict with the name of who has the port."""
        by_key = {step.key: step for step in steps}
        request = {
            "reserve": [_described(step.after) for step in steps if isinstance(step.after, PortReservation)],
            "release": [
                _described(step.before)
                for step in steps
                if step.after is None and isinstance(step.before, PortReservation)
            ],
        }
        answer = self._ask(request)
        if not answer["ok"]:
            raise _refusal(answer, by_key)
        for step in steps:
            done(step)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            with self._connected() as client:
                client.sendall(json.dumps(request).encode() + b"\n")
                with client.makefile("rb") as answers:
                    value: dict[str, Any] = json.loads(answers.readline())
                    return value
        except (OSError, ValueError) as error:
            raise Unavailable(
                gettext_noop("The port holder does not answer: {cause}."),
                remedy=gettext_noop("It is started again by itself; try once more, or run make restart."),
                cause=error,
            ) from error

    def _connected(self) -> socket.socket:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            client.settimeout(ANSWER_TIMEOUT_S)
            try:
                client.connect(str(self._path))
                return client
            except (ConnectionRefusedError, FileNotFoundError):
                client.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            except BaseException:
                client.close()
                raise


def _named(key: Key) -> dict[str, Any]:
    _, protocol, address, port = key
    return {"protocol": protocol, "address": address, "port": int(port)}


def _described(resource: PortReservation) -> dict[str, Any]:
    return {
        "protocol": resource.protocol,
        "address": str(resource.host_address),
        "port": resource.host_port,
        "target": list(resource.target) if resource.target else None,
    }


def _reservation(item: dict[str, Any]) -> PortReservation:
    target = item["target"]
    return PortReservation(
        protocol=item["protocol"],
        host_address=ip_address(item["address"]),
        host_port=item["port"],
        target=(target[0], target[1]) if target else None,
    )


def _refusal(answer: dict[str, Any], by_key: dict[Key, Step]) -> Exception:
    if "port" not in answer:
        return KernelRefused(
            gettext_noop("The port holder cannot hold more ports: it has {held}."),
            remedy=gettext_noop("Raise the limit of open files (RLIMIT_NOFILE) and run make restart."),
            held=answer.get("held", "?"),
        )
    protocol, port, address = answer["protocol"], answer["port"], answer["address"]
    key = next((k for k in by_key if k[1:] == (protocol, address, str(port))), ())
    facts = {"key": list(key), "errno": answer["errno"]}
    if answer["errno"] == errno.EPROTONOSUPPORT:
        return Unsupported(
            gettext_noop("The kernel of this host does not know {protocol}, so port {port}/{protocol} cannot be held."),
            remedy=gettext_noop("Load the module {protocol}, or choose another protocol."),
            field="ports",
            facts=facts,
            port=port,
            protocol=protocol,
        )
    if answer["errno"] == errno.EADDRNOTAVAIL:
        return InvalidSpec(
            gettext_noop("This host has no address {address}, so port {port}/{protocol} cannot be published on it."),
            remedy=gettext_noop("Choose an address that this host has."),
            field="ports",
            facts=facts,
            port=port,
            protocol=protocol,
            address=address,
        )
    if answer["code"] != "conflict":
        return KernelRefused(
            gettext_noop("The host port {port}/{protocol} cannot be opened on {address}: {cause}."),
            remedy=gettext_noop("Choose an address that this host has, and a protocol that its kernel knows."),
            field="ports",
            facts=facts,
            port=port,
            protocol=protocol,
            address=address,
            cause=answer["cause"],
        )
    return Conflict(
        gettext_noop("The host port {port}/{protocol} is held by {holder}."),
        remedy=gettext_noop("Choose another host port or address, or stop {holder}."),
        field="ports",
        facts=facts,
        port=port,
        protocol=protocol,
        holder=holder_of(protocol, port) or Text(gettext_noop("another program")),
    )
