"""``/exec``: further commands in containers. They are sessions, as the console's terminals are, without a limit of their own time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from typing import Any

from networks.cnm import frames
from networks.cnm.errors import CnmError, from_json
from networks.cnm.frames import Frame
from networks.models import ExecSession
from networks.services.terminals import check_may_use, find_terminal, open_terminal, ticket

from . import json_types
from .call import Answer, Call, dockers_words
from .errors import EngineError, not_supported, translated
from .http import Raw
from .output import failed, framed
from .raw import DetachKeys, Held, pass_input, size_of
from .threads import in_thread

REGISTERED_S = 2.0
"""How long a new size waits for its command to be connected: the command line sends it at once."""
_NOT_FOUND = 127
_BROKEN_OFF = "the connection to the process that holds the command broke off: its output is not whole"

_UNKNOWN = 255
"""The exit code of a command of which nobody knows how it ended: never success."""

_live: dict[str, Held] = {}
"""Sessions whose streams go through this process."""
_broken: OrderedDict[str, None] = OrderedDict()
"""Commands whose connection broke off here, the last of them: their rows may still say that they run."""
_BROKEN_KEPT = 1000


def create(call: Call, name: str) -> Answer:
    body = call.body(json_types.EXEC)
    command = [str(word) for word in body.get("Cmd") or ()]
    if not command:
        raise EngineError(400, "No exec command specified")
    if body.get("Privileged"):
        raise not_supported("a privileged command")
    row = call.container(name)
    with dockers_words(id=row.pk):
        session = open_terminal(
            call.actor,
            row,
            command,
            user=str(body.get("User") or ""),
            working_dir=str(body.get("WorkingDir") or ""),
            env=dict(item.partition("=")[::2] for item in body.get("Env") or () if "=" in item),
            tty=bool(body.get("Tty")),
            open_stdin=bool(body.get("AttachStdin")),
        ).subject
    assert session is not None  # noqa: S101  # what was made is there
    return Answer(201, {"Id": session.pk})


def inspect(call: Call, name: str) -> Answer:
    row = _session(call, name)
    broken = row.pk in _broken and row.state == ExecSession.RUNNING
    failed = row.state == ExecSession.ENDED and row.exit_code is None
    code = _UNKNOWN if broken else _exit_code(row) if failed else row.exit_code
    command = [str(word) for word in row.command]
    return Answer(
        value={
            "ID": row.pk,
            "Running": row.state == ExecSession.RUNNING and not broken,
            "ExitCode": code,
            "ProcessConfig": {
                "tty": row.tty,
                "entrypoint": command[0] if command else "",
                "arguments": command[1:],
                "privileged": False,
                "user": row.user,
            },
            "OpenStdin": row.open_stdin,
            "OpenStderr": True,
            "OpenStdout": True,
            "CanRemove": False,
            "ContainerID": row.container_id,
            "DetachKeys": "",
            "Pid": 0,
        }
    )


async def start(call: Call, name: str) -> None:
    call.content = await call.exchange.body()
    body = call.body(json_types.EXEC)
    row, signed = await in_thread(_ticket, call, name)
    columns, rows = size_of(body.get("ConsoleSize"))
    held = await Held.open(signed, columns, rows)
    try:
        if body.get("Detach"):
            await _begun(held)
            await call.exchange.answer(200)
            return
        raw = await call.exchange.hijack()
        _live[row.pk] = held
        await _joined(raw, held, row, str(body.get("DetachKeys") or ""))
    finally:
        _live.pop(row.pk, None)
        await held.close()


async def resize(call: Call, name: str) -> None:
    columns, rows = call.integer("w", 0) or 0, call.integer("h", 0) or 0
    row = await in_thread(_usable, call, name)
    deadline = asyncio.get_running_loop().time() + REGISTERED_S
    while row.pk not in _live:
        if asyncio.get_running_loop().time() > deadline:
            raise EngineError(409, f"cannot resize a stopped exec: {name}")
        await asyncio.sleep(0.02)
    await _live[row.pk].resize(columns, rows)
    await call.exchange.answer(200)


async def _joined(raw: Raw, held: Held, row: ExecSession, keys: str) -> None:
    """Pass bytes to and fro until the command ends, or the client leaves it."""
    printing = asyncio.ensure_future(_print(raw, held, row.tty, row.pk))
    typing: asyncio.Future[bool] | None = None
    if row.open_stdin:
        typing = asyncio.ensure_future(pass_input(raw, held, DetachKeys(keys) if row.tty else None))
    waiting: set[asyncio.Future[Any]] = {printing, *([typing] if typing is not None else [])}
    try:
        while not printing.done() and not raw.gone:
            await asyncio.wait(waiting, timeout=1, return_when=asyncio.FIRST_COMPLETED)
            if typing is not None and typing.done():
                if typing.exception() is None and typing.result():
                    return
                waiting.discard(typing)
    finally:
        for task in waiting | ({typing} if typing is not None else set()):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await printing


async def _print(raw: Raw, held: Held, tty: bool, session_id: str = "") -> None:
    """Pass on what the command prints; where what holds it breaks off, the client must not take what it got for all."""
    state = ""
    async for item in held.heard():
        if item.kind in {frames.STDOUT, frames.STDERR}:
            stream = "stdout" if item.kind == frames.STDOUT else "stderr"
            await raw.send(framed(stream, item.data, tty))
        elif item.kind == frames.STATE:
            state = item.json().get("state", "")
            if (refused := _refusal(item)) is not None:
                await raw.send(framed("stdout", f"{refused.message}\r\n".encode(), tty))  # where Docker has it, too
    if state in {"ended", "refused"}:
        return
    _broken[session_id] = None
    while len(_broken) > _BROKEN_KEPT:
        _broken.popitem(last=False)
    await raw.send(failed(_BROKEN_OFF, tty))
    if tty:
        raw.abort()


async def _begun(held: Held) -> None:
    """Return when the command runs. Raises EngineError where it cannot."""
    async for item in held.heard():
        if item.kind == frames.STATE:
            refused = _refusal(item)
            if refused is not None:
                raise refused
            return


def _refusal(item: Frame) -> EngineError | None:
    value = item.json()
    if value.get("state") != "refused":
        return None
    error = from_json(value["error"])
    if error.facts.get("exit_code") == _NOT_FOUND:
        command = dict(error.sentence.params).get("command", "")
        return EngineError(
            400,
            "OCI runtime exec failed: exec failed: unable to start container process: exec: "
            f'"{command}": executable file not found in $PATH: unknown',
        )
    return translated(error)


def _ticket(call: Call, name: str) -> tuple[ExecSession, str]:
    row = _session(call, name)
    if row.state == ExecSession.RUNNING:
        raise EngineError(409, f"Error: Exec command {row.pk} is already running")
    if row.state == ExecSession.ENDED:
        raise EngineError(409, f"Error: Exec command {row.pk} has already run")
    with dockers_words(id=row.container_id):
        return row, ticket(call.actor, row)


def _usable(call: Call, name: str) -> ExecSession:
    row = _session(call, name)
    check_may_use(call.actor, row)
    return row


def _session(call: Call, name: str) -> ExecSession:
    try:
        return find_terminal(call.host, name)
    except CnmError:
        raise EngineError(404, f"No such exec instance: {name}") from None


def _exit_code(row: ExecSession) -> int:
    """Of a command that never ran what a shell would say; of one that was lost that nobody knows."""
    if row.error is None and row.started_at is not None:
        return _UNKNOWN
    return int((row.error or {}).get("facts", {}).get("exit_code", 126))
