"""The handler of the embedded DNS server: what it serves and knows, and the rules in sandboxes that lead to it.

The opener makes the sockets; the rules are written here, by the one process that changes the kernel. They stay when a sandbox is
served no more: they lead nowhere then, taking them away costs more than writing them, and they end with the sandbox.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from networks.cnm.errors import CnmError, Unavailable
from networks.cnm.plan import Step
from networks.cnm.resources import Key, NameRecord, NameServer, Resource
from networks.cnm.text import gettext_noop
from worker.firewall.name_server import Leader
from worker.handler import Done
from worker.kernel.netns import Namespaces, NotANamespace, open_namespace
from worker.observe.names import about, described_record, described_server, read_record, read_server
from worker.patience import pause_point

from .batch import refused

ANSWER_TIMEOUT_S = 60.0
START_WAIT_S = 10.0
"""How long an opener that is being started again is waited for."""
_RETRY_S = 0.05


class NamesHandler:
    """Looks after name servers and names; *path* is the opener's socket."""

    kinds = frozenset({NameServer.kind, NameRecord.kind})

    def __init__(self, path: Path, leader: Leader, netns_dir: str | Path = "/run/netns") -> None:
        self._path = path
        self._leader = leader
        self._namespaces = Namespaces(Path(netns_dir))

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """What of *keys* is served and known. A sandbox whose rules or sockets are gone shows as down."""
        if keys is not None and not keys:
            return ()
        answer = self._ask({} if keys is None else {"about": about(list(keys))})
        servers = [read_server(item, up=item["there"] and self._leads(item)) for item in answer["serve"]]
        return (*servers, *map(read_record, answer["names"]))

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """All steps in one request, answered when the resolver has them; then the rules of sandboxes that need them."""
        servers = [step for step in steps if isinstance(step.after, NameServer)]
        answer = self._ask(_request(steps))
        if not answer["ok"]:
            raise _refusal(answer, servers, steps)
        try:
            for step in servers:
                self._lead(step, answer["ports"])
        except CnmError:
            # Nothing of what is new is kept: without rules it would be asked by nobody, and hold its sandbox.
            self._ask({"stop": [step.key[1] for step in servers if step.before is None]})
            raise
        for step in steps:
            done(step)

    def _lead(self, step: Step, fresh: dict[str, list[int]]) -> None:
        """Write the rules of a sandbox whose sockets are new, or whose rules were seen to be gone."""
        name = step.key[1]
        ports = fresh.get(name)
        if ports is None and isinstance(step.before, NameServer) and not step.before.up:
            found = self._ask({"about": {"sandboxes": [name], "names": []}})["serve"]
            ports = found[0]["ports"] if found else None
        if ports is None:
            return
        try:
            self._inside(name, lambda: self._leader.lead(ports[0], ports[1], step.resource.owner))
        except (OSError, NotANamespace) as error:
            raise refused(step, getattr(error, "errno", 0) or 0, str(error)) from error
        except CnmError as error:
            error.facts = error.facts | {"key": list(step.key)}
            raise

    def _leads(self, item: dict[str, Any]) -> bool:
        pause_point()
        try:
            return bool(self._inside(item["sandbox"], lambda: self._leader.leads(*item["ports"])))
        except (OSError, NotANamespace):
            return False

    def _inside(self, sandbox: str, work: Any) -> Any:
        descriptor = open_namespace(str(self._namespaces.path(sandbox)))
        try:
            with self._namespaces.entered(descriptor):
                return work()
        finally:
            os.close(descriptor)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The opener's answer. One that was killed is back within a second or two, with everything it served."""
        give_up = time.monotonic() + START_WAIT_S
        while True:
            try:
                return _exchange(self._path, request)
            except (OSError, ValueError) as error:
                if time.monotonic() > give_up or isinstance(error, TimeoutError):
                    raise Unavailable(
                        gettext_noop("The name server does not answer: {cause}."),
                        remedy=gettext_noop("It is started again by itself; try once more, or run make restart."),
                        cause=error,
                    ) from error
            time.sleep(_RETRY_S)


def _exchange(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as client:
        client.settimeout(ANSWER_TIMEOUT_S)
        client.connect(str(path))
        client.sendall(json.dumps(request).encode() + b"\n")
        with client.makefile("rb") as answers:
            value: dict[str, Any] = json.loads(answers.readline())
            return value


def _request(steps: Sequence[Step]) -> dict[str, Any]:
    request: dict[str, Any] = {"serve": [], "names": [], "stop": [], "forget": []}
    for step in steps:
        if isinstance(step.after, NameServer):
            request["serve"].append(described_server(step.after))
        elif isinstance(step.after, NameRecord):
            request["names"].append(described_record(step.after))
        elif isinstance(step.before, NameServer):
            request["stop"].append(step.before.sandbox)
        elif isinstance(step.before, NameRecord):
            request["forget"].append([step.before.network_id, step.before.endpoint_id])
    return request


def _refusal(answer: dict[str, Any], servers: Sequence[Step], steps: Sequence[Step]) -> CnmError:
    step = next((step for step in servers if step.key[1] == answer.get("sandbox")), steps[0])
    return refused(step, answer.get("errno", 0), answer.get("cause") or answer["code"])
