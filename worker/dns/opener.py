"""The opener: root's half of the DNS server. It opens sockets in sandboxes, keeps them, and sees to it that a resolver has them.

It reads what the kernel worker (root) says, and from the resolver only two short forms: "done" and "open me a socket there".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from dataclasses import dataclass, field
from typing import Any

from worker.kernel.netns import OUR_NAME, Namespaces, NotANamespace, open_namespace

from .child import SHORT_LIFE_S, Child
from .journal import Journal
from .listen import listen
from .zone import Record, Sandbox

log = logging.getLogger("worker.dns")

LONGEST_PAUSE_S = 5.0
SENT_AT_ONCE = 30
"""Sandboxes in one message to a new resolver: with two sockets each, what one message may carry."""


class Refused(Exception):
    """A sandbox cannot be served."""

    def __init__(self, sandbox: str, error: OSError) -> None:
        super().__init__(str(error))
        self.sandbox = sandbox
        self.errno = error.errno or 0


@dataclass(slots=True)
class Served:
    """One sandbox with its sockets and the namespace that they are in."""

    item: dict[str, Any]
    udp: socket.socket
    tcp: socket.socket
    identity: tuple[int, int]

    @property
    def ports(self) -> list[int]:
        return [self.udp.getsockname()[1], self.tcp.getsockname()[1]]

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()


@dataclass(slots=True)
class Change:
    """One request of the worker, checked."""

    serve: list[dict[str, Any]] = field(default_factory=list)
    names: list[dict[str, Any]] = field(default_factory=list)
    stop: list[str] = field(default_factory=list)
    forget: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, request: dict[str, Any]) -> Change:
        """Raises ValueError, TypeError or KeyError for what is malformed."""
        change = cls(
            serve=list(request.get("serve", ())),
            names=list(request.get("names", ())),
            stop=list(request.get("stop", ())),
            forget=[(str(network), str(endpoint)) for network, endpoint in request.get("forget", ())],
        )
        for item in change.serve:
            Sandbox.of(item)
        for name in (*change.stop, *(item["sandbox"] for item in change.serve)):
            if not isinstance(name, str) or not OUR_NAME.match(name):
                raise ValueError("no sandbox of ours")
        for item in change.names:
            Record.of(item)
        return change


class Opener:
    """What is served, and the resolver that serves it."""

    def __init__(self, namespaces: Namespaces, journal: Journal, user: str) -> None:
        self._namespaces = namespaces
        self._journal = journal
        self._user = user
        self._served: dict[str, Served] = {}
        self._names: dict[tuple[str, str], dict[str, Any]] = {}
        self._child: Child | None = None
        self._restart: asyncio.Task[None] | None = None
        self._failures = 0
        self._ending = False

    def recover(self) -> None:
        """Open everything again that a former opener had open, on the same ports, which rules inside lead to."""
        wanted: dict[str, dict[str, Any]] = {}
        for line in self._journal.read():
            for name in line.get("stop", ()):
                wanted.pop(name, None)
            for network, endpoint in line.get("forget", ()):
                self._names.pop((network, endpoint), None)
            self._names |= {(item["network"], item["endpoint"]): item for item in line.get("names", ())}
            wanted |= {item["sandbox"]: item for item in line.get("serve", ())}
        for name, item in wanted.items():
            try:
                self._served[name] = self._opened(item, item.get("ports"), item.get("identity"))
            except Refused:
                log.info("%s is gone, or cannot be served as before", name)
        self._compact()

    async def obey(self, change: Change) -> dict[str, Any]:
        """Carry out a request of the worker, whole or not at all: the answer is given when the resolver has it."""
        fresh: dict[str, Served] = {}
        try:
            for item in change.serve:
                known = self._served.get(item["sandbox"])
                if known is None or known.identity != self._identity(item["sandbox"]):
                    fresh[item["sandbox"]] = self._opened(item)
        except Refused as error:
            for served in fresh.values():
                served.close()
            cause = os.strerror(error.errno)
            return {"ok": False, "code": "refused", "sandbox": error.sandbox, "errno": error.errno, "cause": cause}
        stopped = [self._served.pop(name) for name in change.stop if name in self._served]
        stopped += [self._served.pop(name) for name in fresh if name in self._served]
        for key in change.forget:
            self._names.pop(key, None)
        self._names |= {(item["network"], item["endpoint"]): item for item in change.names}
        for item in change.serve:
            if item["sandbox"] not in fresh:
                self._served[item["sandbox"]].item = item
        self._served |= fresh
        for served in stopped:
            served.close()
        self._record(change)
        await self._tell(change, fresh)
        return {"ok": True, "ports": {name: served.ports for name, served in fresh.items()}}

    def describe(self, about: dict[str, Any] | None) -> dict[str, Any]:
        """What is served and known; *about* names the sandboxes and the names that are asked for."""
        if about is None:
            served, names = list(self._served), list(self._names)
        else:
            served = [name for name in about.get("sandboxes", ()) if name in self._served]
            names = [(n, e) for n, e in about.get("names", ()) if (n, e) in self._names]
        return {
            "ok": True,
            "serve": [self._described(self._served[name]) for name in served],
            "names": [self._names[key] for key in names],
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Have a resolver until *stop*."""
        self._start_child()
        await stop.wait()
        self._ending = True
        if self._restart is not None:
            self._restart.cancel()
        if self._child is not None:
            self._child.end()
        for served in self._served.values():
            served.close()

    def _described(self, served: Served) -> dict[str, Any]:
        there = served.identity == self._identity(served.item["sandbox"])
        return served.item | {"ports": served.ports, "there": there}

    def _identity(self, name: str) -> tuple[int, int] | None:
        return self._namespaces.identity(self._namespaces.path(name))

    def _opened(self, item: dict[str, Any], ports: Any = None, identity: Any = None) -> Served:
        """The sockets of a sandbox; *ports* and *identity* are those of a former opener. Raises :class:`Refused`."""
        name = item["sandbox"]
        path = str(self._namespaces.path(name))
        try:
            with _open(path) as namespace:
                found = os.fstat(namespace)
                now = (found.st_dev, found.st_ino)
                if identity is not None and tuple(identity) != now:
                    raise OSError(2, "another namespace has that name by now")
                with self._namespaces.entered(namespace):
                    udp, tcp = listen(ports)
        except OSError as error:
            raise Refused(name, error) from error
        kept = {key: value for key, value in item.items() if key not in {"ports", "identity"}}
        return Served(kept, udp, tcp, now)

    def _record(self, change: Change) -> None:
        line: dict[str, Any] = {"stop": change.stop, "forget": change.forget, "names": change.names}
        self._journal.append(line | {"serve": [self._lasting(item["sandbox"]) for item in change.serve]})
        if self._journal.is_long:
            self._compact()

    def _lasting(self, name: str) -> dict[str, Any]:
        served = self._served[name]
        return served.item | {"ports": served.ports, "identity": served.identity}

    def _compact(self) -> None:
        self._journal.rewrite(
            {"serve": [self._lasting(name) for name in self._served], "names": list(self._names.values())}
        )

    async def _tell(self, change: Change, fresh: dict[str, Served]) -> None:
        """Tell the resolver and wait until it holds. One that does not answer is replaced, and the new one knows it all."""
        child = self._child
        if child is None:
            return  # it is being started, and will be told everything
        if self._restart is not None:
            await asyncio.wait([self._restart])  # everything, before what is new
        try:
            for start in range(0, max(len(change.serve), 1), SENT_AT_ONCE):
                part = change.serve[start : start + SENT_AT_ONCE]
                message = {} if start else {"stop": change.stop, "forget": change.forget, "names": change.names}
                await child.say(message | _serving(part, fresh), _sockets(part, fresh))
        except (OSError, TimeoutError) as error:
            log.warning("the resolver is started again: %s", error or type(error).__name__)
            child.end()

    def _start_child(self) -> None:
        child = Child(self._user, self._open_for_child, self._child_ended)
        self._child = child
        self._restart = asyncio.get_running_loop().create_task(self._tell_all(child))

    async def _tell_all(self, child: Child) -> None:
        names = list(self._served)
        try:
            await child.say({"names": list(self._names.values())})
            for start in range(0, len(names), SENT_AT_ONCE):
                part = [self._served[name].item for name in names[start : start + SENT_AT_ONCE] if name in self._served]
                await child.say(_serving(part, self._served), _sockets(part, self._served))
        except (OSError, TimeoutError) as error:
            log.warning("the resolver did not start: %s", error or type(error).__name__)
            child.end()

    def _child_ended(self, child: Child, lived_s: float) -> None:
        if child is not self._child:
            return
        self._child = None
        if self._ending:
            return
        self._failures = self._failures + 1 if lived_s < SHORT_LIFE_S else 0
        pause_s = min(0.05 * 2**self._failures, LONGEST_PAUSE_S) if self._failures else 0.0
        log.warning("the resolver ended; a new one starts in %.1f s", pause_s)
        asyncio.get_running_loop().call_later(pause_s, lambda: None if self._ending else self._start_child())

    def _open_for_child(self, sandbox: str, *, tcp: bool, ipv6: bool) -> socket.socket:
        """A socket in a sandbox that is served, for a question to a server. Raises OSError."""
        if sandbox not in self._served:
            raise OSError(2, "that sandbox is not served")
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        with _open(str(self._namespaces.path(sandbox))) as namespace, self._namespaces.entered(namespace):
            return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


@contextlib.contextmanager
def _open(path: str) -> Any:
    """The namespace at *path* for a moment. Raises OSError also where there is none."""
    try:
        descriptor = open_namespace(path)
    except NotANamespace as error:
        raise OSError(2, str(error)) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _serving(items: list[dict[str, Any]], fresh: dict[str, Served]) -> dict[str, Any]:
    return {"serve": [item | {"sockets": item["sandbox"] in fresh} for item in items]}


def _sockets(items: list[dict[str, Any]], fresh: dict[str, Served]) -> list[socket.socket]:
    return [sock for item in items if (served := fresh.get(item["sandbox"])) for sock in (served.udp, served.tcp)]
