"""One request as its handler sees it: who asks, on which host, with what; and what every handler needs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from django.conf import settings

from networks.cnm.errors import CnmError, from_json
from networks.models import Container, Host, Operation
from networks.services.actor import Actor
from networks.services.find import find_container, find_host
from networks.services.outcome import Outcome

from .errors import EngineError, translated
from .http import Exchange
from .json_types import check
from .threads import in_thread
from .watching import Containers, Operations

T = TypeVar("T")

LONGEST_WAIT_S = 900
"""How long a write waits for the worker: Docker knows no "accepted, follow the operation"."""
_TRUE = {"1", "true", "True", "t", "T", "TRUE"}
"""What Go's ``strconv.ParseBool`` takes for true."""
_UP = ("starting", "running", "stopping")


@dataclass(slots=True)
class Answer:
    """A status and a JSON value; None: no body."""

    status: int = 200
    value: Any = None


@dataclass
class Call:
    """One request."""

    exchange: Exchange
    actor: Actor
    version: tuple[int, int]
    """The API version that the client speaks."""
    content: bytes = b""
    _kept: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def host(self) -> Host:
        """This process's own host."""
        return find_host(settings.HOST_NAME)

    @property
    def query(self) -> Mapping[str, str]:
        return self.exchange.request.query

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.query.get(name)
        return default if value is None or value == "" else value in _TRUE

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A whole number of the query. Raises EngineError 400."""
        text = self.query.get(name, "")
        try:
            return int(text) if text else default
        except ValueError:
            raise EngineError(400, f'strconv.Atoi: parsing "{text}": invalid syntax') from None

    def body(self, shape: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """The JSON object that was sent, with fields of *shape*; an empty body is an empty object. Raises EngineError 400."""
        if not self.content.strip():
            return {}
        try:
            value = json.loads(self.content)
        except (ValueError, RecursionError):
            raise EngineError(400, "unexpected EOF") from None
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise EngineError(400, "json: cannot unmarshal into Go value: an object is wanted")
        check(value, shape)
        return value

    def container(self, reference: str) -> Container:
        """The container by id, beginning of an id, name, ``/name`` or ``recipient/alias``. Raises CnmError."""
        name = reference.strip("/")
        recipient, slash, alias = name.partition("/")
        if slash:
            link = find_container(self.host, recipient).links.filter(alias=alias).select_related("source").first()
            if link is None:
                raise EngineError(404, f"No such container: {reference}")
            return link.source
        return find_container(self.host, name)


@contextmanager
def dockers_words(**more: str) -> Any:
    """Inside, a refusal of ours becomes Docker's, with *more* values for its words."""
    try:
        yield
    except CnmError as error:
        raise translated(error, more) from error


@dataclass(frozen=True, slots=True)
class Ended:
    """A handler goes on when *operation* has ended, or is as it is when *timeout_s* is over; no thread is held meanwhile."""

    operation: Operation
    timeout_s: float

    async def wait(self) -> Operation:
        async with aclosing(Operations.here().each(self.operation.pk)) as rows:  # type: ignore[type-var]
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timeout_s):
                    async for row in rows:
                        if row is None or row.finished:
                            return row or self.operation
        return self.operation


@dataclass(frozen=True, slots=True)
class NotUp:
    """A handler goes on when the *run* of a container is over, or *timeout_s* is."""

    container_id: str
    run: str
    timeout_s: float

    async def wait(self) -> None:
        async with aclosing(Containers.here().each(self.container_id)) as rows:  # type: ignore[type-var]
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timeout_s):
                    async for row in rows:
                        if row is None or row.run != self.run or row.status not in _UP:
                            return


@dataclass(frozen=True, slots=True)
class NotThere:
    """A handler goes on when a container is gone, or *timeout_s* is over."""

    container_id: str
    timeout_s: float

    async def wait(self) -> None:
        async with aclosing(Containers.here().each(self.container_id)) as rows:  # type: ignore[type-var]
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timeout_s):
                    async for row in rows:
                        if row is None:
                            return


class Awaited(Protocol):
    """What a handler may wait for."""

    async def wait(self) -> Any:
        """What comes of it."""


Steps = Generator[Awaited, Any, T]
"""A handler that waits: it yields what for, and is sent what came of it. Between, each of its steps has a thread of the pool."""


async def stepped(steps: Steps[T]) -> T:
    """Carry out a handler that waits."""

    def go_on(value: Any) -> tuple[Awaited | None, T | None]:
        try:
            return steps.send(value), None
        except StopIteration as end:
            return None, end.value

    value: Any = None
    while True:
        waiting, result = await in_thread(go_on, value)
        if waiting is None:
            return result  # type: ignore[return-value]  # what it returned
        value = await waiting.wait()


def written(call: Call, use_case: Callable[[], Outcome], *, timeout_s: float = 0, **more: str) -> Steps[Outcome]:
    """Run a use case and go on when it is real; refusals and failures in Docker's words, with *more* values for them.

    *timeout_s* adds to the wait: the time that a process is given to end.
    """
    with dockers_words(**more):
        outcome = use_case()
    yield from done(outcome, timeout_s=timeout_s, **more)
    return outcome


def done(outcome: Outcome, *, timeout_s: float = 0, **more: str) -> Steps[None]:
    """Go on when the worker is through with *outcome*. Raises EngineError with its failure."""
    if outcome.operation is None:
        return
    operation = check_ended((yield Ended(outcome.operation, LONGEST_WAIT_S + timeout_s)))
    if operation.state == "failed" and operation.error:
        raise translated(from_json(operation.error), more)


def check_ended(operation: Operation) -> Operation:
    """Raises EngineError where it has not."""
    if not operation.finished:
        raise EngineError(500, f"operation {operation.number} ({operation.verb}) still goes on: see the console")
    return operation
