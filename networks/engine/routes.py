"""Docker's paths. What is not here answers 404; what Docker has and CNM Web has not answers 501 with a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import archive, attach, containers, event_stream, execs, images, networks, processes, streams, system, volumes
from .errors import EngineError, not_supported

Handler = Callable[..., Any]
_NAME = r"(?P<{}>[^/]+)"
_ANY = r"(?P<{}>.+)"


def _pattern(path: str) -> re.Pattern[str]:
    """``/networks/{name}``; ``{name*}`` takes slashes too."""
    text = re.sub(r"\{(\w+)\}", lambda found: _NAME.format(found[1]), path)
    return re.compile(re.sub(r"\{(\w+)\*\}", lambda found: _ANY.format(found[1]), text) + r"/?\Z")


def _unsupported(what: str) -> Handler:
    def handler(call: object, **values: str) -> None:
        raise not_supported(what)

    return handler


def _nothing(sentence: str) -> Handler:
    def handler(call: object, name: str) -> None:
        raise EngineError(404, sentence.format(name=name))

    return handler


_LOGIN = _unsupported("registry login")
_TABLE: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/_ping", system.ping),
    ("HEAD", "/_ping", system.ping),
    ("GET", "/version", system.version),
    ("GET", "/info", system.info),
    ("POST", "/auth", _LOGIN),
    ("GET", "/system/df", containers.usage),
    ("GET", "/networks", networks.index),
    ("POST", "/networks/create", networks.create),
    ("POST", "/networks/prune", networks.prune),
    ("GET", "/networks/{name*}", networks.inspect),
    ("DELETE", "/networks/{name*}", networks.remove),
    ("POST", "/networks/{name}/connect", networks.connect),
    ("POST", "/networks/{name}/disconnect", networks.disconnect),
    ("GET", "/containers/json", containers.index),
    ("POST", "/containers/create", containers.create),
    ("POST", "/containers/prune", containers.prune),
    ("GET", "/containers/{name*}/json", containers.inspect),
    ("GET", "/containers/{name}/logs", streams.container_logs),
    ("POST", "/containers/{name}/wait", streams.wait),
    ("POST", "/containers/{name}/start", containers.start),
    ("POST", "/containers/{name}/stop", containers.stop),
    ("POST", "/containers/{name}/restart", containers.restart),
    ("POST", "/containers/{name}/kill", containers.kill),
    ("POST", "/containers/{name}/pause", containers.pause),
    ("POST", "/containers/{name}/unpause", containers.unpause),
    ("POST", "/containers/{name}/rename", containers.rename),
    ("POST", "/containers/{name}/update", containers.update),
    ("DELETE", "/containers/{name*}", containers.remove),
    ("GET", "/containers/{name}/top", processes.top),
    ("GET", "/containers/{name}/stats", processes.stats),
    ("POST", "/containers/{name}/attach", attach.attach),
    ("POST", "/containers/{name}/resize", attach.resize),
    ("HEAD", "/containers/{name}/archive", archive.look),
    ("GET", "/containers/{name}/archive", archive.take),
    ("PUT", "/containers/{name}/archive", archive.put),
    ("POST", "/containers/{name}/exec", execs.create),
    ("POST", "/exec/{name}/start", execs.start),
    ("POST", "/exec/{name}/resize", execs.resize),
    ("GET", "/exec/{name}/json", execs.inspect),
    ("GET", "/events", event_stream.stream),
    ("GET", "/images/json", images.index),
    ("POST", "/images/create", images.create),
    ("POST", "/images/load", images.load),
    ("GET", "/images/{name*}/json", images.inspect),
    ("GET", "/images/{name*}/history", images.history),
    ("POST", "/images/{name*}/tag", images.tag),
    ("DELETE", "/images/{name*}", images.remove),
    ("POST", "/commit", images.commit),
    ("GET", "/volumes", volumes.index),
    ("POST", "/volumes/create", volumes.create),
    ("POST", "/volumes/prune", volumes.prune),
    ("GET", "/volumes/{name}", volumes.inspect),
    ("DELETE", "/volumes/{name}", volumes.remove),
)
_REFUSED = (_LOGIN,)
_UNSUPPORTED: tuple[tuple[str, str], ...] = (
    ("/swarm", "Swarm mode"),
    ("/nodes", "Swarm mode"),
    ("/services", "Swarm mode"),
    ("/tasks", "Swarm mode"),
    ("/secrets", "Swarm mode"),
    ("/configs", "Swarm mode"),
    ("/plugins", "plugin management"),
    ("/volumes", "this operation on volumes"),
    ("/build", "building images"),
    ("/session", "building images"),
    ("/grpc", "building images"),
    ("/distribution", "asking a registry for a manifest"),
    ("/containers", "this operation on containers"),
    ("/images", "this operation on images"),
    ("/system", "this operation on the whole engine"),
)
"""Beginnings of paths that Docker has, and what they are about."""
_INSPECTED: tuple[tuple[str, str], ...] = (("/plugins/{name*}/json", 'plugin "{name}" not found'),)
"""``docker inspect X`` asks for each kind of object in turn: of those that can never be there, they are not there."""

_ROUTES = [
    *((method, _pattern(path), handler) for method, path, handler in _TABLE),
    *(("GET", _pattern(path), _nothing(sentence)) for path, sentence in _INSPECTED),
]


def answered() -> list[tuple[str, str]]:
    """Every method and path that something is answered to, but for what is refused as not supported."""
    return [(method, path) for method, path, handler in _TABLE if handler not in _REFUSED]


def find(method: str, path: str) -> tuple[Handler, dict[str, str]]:
    """The handler of a request and the values in its path. Raises EngineError 404, 405 or 501."""
    allowed = False
    for known, pattern, handler in _ROUTES:
        found = pattern.match(path)
        if found:
            if known == method:
                return handler, found.groupdict()
            allowed = True
    for beginning, what in _UNSUPPORTED:
        if path == beginning or path.startswith(f"{beginning}/"):
            return _unsupported(what), {}
    if allowed:
        raise EngineError(405, f"method {method} not allowed for {path}")
    raise EngineError(404, "page not found")
