"""Terminals in containers, over the product's own WebSocket: a real PTY, left and found again, and who may type."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from tests.product.conftest import Console

from .conftest import PATIENCE_S, signed_in, websocket

pytestmark = pytest.mark.kernel
PLAIN = ["sh", "-c", "PS1='> ' exec sh"]


class Screen:
    """The browser's end of a terminal."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.printed = b""
        self.said: list[dict[str, Any]] = []
        self.taken = 0

    def type(self, text: str | bytes) -> None:
        self.socket.send(text.encode() if isinstance(text, str) else text)

    def tell(self, **value: Any) -> None:
        self.socket.send(json.dumps(value))

    def hear(self, until: Callable[[Screen], object]) -> Screen:
        """Read on until *until* is true; what is read is acknowledged, as a browser does."""
        deadline = time.monotonic() + PATIENCE_S
        while not until(self):
            message = self.socket.recv(timeout=max(0.1, deadline - time.monotonic()))
            if isinstance(message, bytes):
                self.printed += message
                with contextlib.suppress(
                    ConnectionClosed
                ):  # a browser drops it; what came before the end is still to be read
                    self.tell(type="ack", bytes=len(message))
            else:
                self._note(json.loads(message))
        return self

    def _note(self, said: dict[str, Any]) -> None:
        if said["type"] == "ack":
            self.taken += said["bytes"]
        else:
            self.said.append(said)

    def sees(self, text: str) -> Screen:
        return self.hear(lambda screen: text.encode() in screen.printed)

    def read_to_the_end(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.socket.recv(timeout=PATIENCE_S)

    def is_told(self, kind: str) -> dict[str, Any]:
        self.hear(lambda screen: any(said["type"] == kind for said in screen.said))
        return next(said for said in self.said if said["type"] == kind)


@pytest.fixture
def container(console: Console) -> Iterator[str]:
    console.run("box")
    yield "box"
    console.remove("box")


def open_one(console: Console, container: str, command: list[str] | None = None, **spec: Any) -> str:
    answer = console.call("POST", f"containers/{container}/terminals", {"command": command or PLAIN, **spec})
    return str(answer["id"])


@contextmanager
def screen(
    console: Console, browser: httpx.Client | None, session: str, *, since: int = 0, size: str = "columns=80&rows=24"
) -> Iterator[Screen]:
    with websocket(console, browser, f"ws/terminals/{session}/?since={since}&{size}") as socket:
        yield Screen(socket)


def state_of(console: Console, session: str) -> dict[str, Any]:
    return dict(console.get(f"terminals/{session}"))


def test_a_terminal_is_a_real_one_follows_its_size_and_tells_its_exit_code(
    console: Console, browser: httpx.Client, container: str
) -> None:
    session = open_one(console, container)
    with screen(console, browser, session, size="columns=91&rows=33") as terminal:
        assert terminal.is_told("attached") == {"type": "attached", "from": 0, "total": 0, "tty": True}
        terminal.type("stty size; tty; echo $TERM\r")
        terminal.sees("33 91").sees("/dev/pts/").sees("xterm-256color")
        terminal.tell(type="resize", columns=120, rows=40)
        terminal.type("stty size\r")
        terminal.sees("40 120")
        # Not before it runs: a shell that still reads its line takes the key for itself. What is typed is echoed, so it is no word of it.
        terminal.type("sh -c 'echo be''gun; exec sleep 100'\r")
        terminal.sees("begun").type("\x03")  # Ctrl-C reaches the program, for it is a terminal
        terminal.type("echo alive; exit 7\r")
        ended = terminal.sees("alive").is_told("ended")
    assert (ended["exit_code"], ended["reason"]) == (7, "exited")
    row = state_of(console, session)
    assert (row["state"], row["exit_code"], row["reason"]) == ("ended", 7, "exited")
    log = console.get("activity")["results"]
    kept = {item["verb"]: item for item in log if item["request"].get("session") == session[:12]}
    assert kept["terminal.open"]["actor"] == "admin"
    assert kept["terminal.end"]["request"]["exit_code"] == 7
    assert kept["terminal.end"]["request"]["of"] == "admin"


def test_who_comes_back_finds_the_terminal_as_it_was_and_reads_what_was_missed_once(
    console: Console, browser: httpx.Client, container: str
) -> None:
    session = open_one(console, container)
    with screen(console, browser, session) as first:
        first.type("X=kept; echo one-$X\r")
        first.sees("one-kept")
        first.type("(sleep 0.5; echo mean''while) &\r")
        first.sees("mean''while) &")
    console.until(lambda: state_of(console, session)["state"] == "running")
    time.sleep(0.7)  # nobody is connected while it prints
    with screen(console, browser, session, since=len(first.printed)) as second:
        second.sees("meanwhile")
        assert second.said[0]["from"] == len(first.printed)
        second.type("echo two-$X\r")
        second.sees("two-kept")
    whole = first.printed + second.printed
    assert whole.count(b"one-kept") == 1
    with screen(console, browser, session) as third:  # a fresh page: everything
        third.sees("two-kept")
        assert third.printed.startswith(whole)  # after which the shell may have said that its job is done
        assert third.printed.count(b"two-kept") == 1
        with screen(console, browser, session) as fourth:
            fourth.is_told("attached")
            third.is_told("taken")
        console.call("DELETE", f"terminals/{session}")
    assert state_of(console, session)["reason"] == "closed"
    assert "exec-" not in console.bottle.run(["find", "/run/cnm/runs"]).stdout


def read_without_acknowledging(terminal: Screen, most: int) -> int:
    """How many bytes come, once the first have, before nothing more does."""
    read = 0
    with contextlib.suppress(TimeoutError):
        while read < most:
            message = terminal.socket.recv(timeout=1 if read else PATIENCE_S)
            read += len(message) if isinstance(message, bytes) else 0
    return read


def test_a_large_paste_arrives_whole_and_an_output_without_end_waits_for_the_reader(
    console: Console, browser: httpx.Client, container: str
) -> None:
    size = 600_000
    session = open_one(console, container, ["sh", "-c", f"stty raw -echo; echo ready; head -c {size} | md5sum; yes"])
    paste = bytes(32 + number * 7 % 90 for number in range(size))
    with screen(console, browser, session) as terminal:
        terminal.sees("ready")
        sent = 0
        while sent < size:
            piece = paste[sent : sent + 16384]
            terminal.hear(lambda screen, sent=sent, piece=piece: sent + len(piece) - screen.taken <= 65536)
            terminal.type(piece)
            sent += len(piece)
        terminal.sees(hashlib.md5(paste, usedforsecurity=False).hexdigest())
        assert 64 << 10 < read_without_acknowledging(terminal, 8 << 20) < 2 << 20
    console.call("DELETE", f"terminals/{session}")


def test_it_ends_with_its_container_and_a_restart_of_its_process_is_told(
    console: Console, browser: httpx.Client, container: str
) -> None:
    session, other = open_one(console, container), open_one(console, container)
    with screen(console, browser, session) as terminal:
        terminal.sees("> ")
        console.product.restart("kernel")  # it holds no terminal
        terminal.type("echo still-$((40 + 2))\r")
        terminal.sees("still-42")
        console.call("POST", f"containers/{container}/stop", {"timeout": 0})
        assert terminal.is_told("ended")["reason"] == "container"
    assert state_of(console, session)["reason"] == "container"
    console.call("POST", f"containers/{container}/start", {})
    console.call("DELETE", f"terminals/{other}")
    session = open_one(console, container)
    with screen(console, browser, session) as terminal:
        terminal.sees("> ")
        console.product.restart("sessions")
        terminal.read_to_the_end()
        assert terminal.socket.close_code == 4503
    console.until(lambda: state_of(console, session)["state"] == "ended")
    assert state_of(console, session)["reason"] == "lost"


def test_what_cannot_start_says_why(console: Console, browser: httpx.Client, container: str) -> None:
    session = open_one(console, container, ["nosuch"])
    with screen(console, browser, session) as terminal:
        refused = terminal.is_told("refused")
    assert "nosuch" in refused["words"]
    assert state_of(console, session)["reason"] == "refused"
    with screen(console, browser, session) as terminal:
        assert "has ended" in terminal.is_told("refused")["words"]


def test_who_may_not_type_is_refused_in_the_service_and_at_the_socket(
    console: Console, browser: httpx.Client, container: str
) -> None:
    for name, role in (("vera", "viewer"), ("olga", "operator")):
        console.bottle.python("tests.live.test_terminal:add_user", name, role, env=console.product.env)
    session = open_one(console, container)
    with screen(console, None, session) as terminal, pytest.raises(ConnectionClosed):
        terminal.socket.recv(timeout=PATIENCE_S)
    assert terminal.socket.close_code == 4401
    with (
        pytest.raises(InvalidStatus) as refused,
        websocket(console, browser, f"ws/terminals/{session}/", origin="https://evil.example"),
    ):
        pass
    assert refused.value.response.status_code == 403
    for name in ("vera", "olga"):
        with signed_in(console, name, "a-password-for-tests") as person:
            with screen(console, person, session) as terminal:
                terminal.is_told("refused")
                with pytest.raises(ConnectionClosed):
                    terminal.socket.recv(timeout=PATIENCE_S)
            assert terminal.socket.close_code == 4403
            page = person.get(f"/containers/{container}/?tab=terminal&session={session}").text
            assert 'id="terminal"' not in page
            token = person.cookies["csrftoken"]
            made = person.post(f"/containers/{container}/?tab=terminal", data={"csrfmiddlewaretoken": token})
            assert made.status_code == (403 if name == "vera" else 302)
    assert console.raw("DELETE", f"terminals/{session}").status_code == 204


def test_nobody_has_more_terminals_than_allowed(console: Console, container: str) -> None:
    mine = [open_one(console, container) for _ in range(3)]
    answer = console.raw("POST", f"containers/{container}/terminals", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "exhausted")
    assert "CNM_TERMINALS_PER_USER" in answer.json()["remedy"]
    for session in mine:
        console.call("DELETE", f"terminals/{session}")


def test_the_socket_answers_only_good_tickets_once(console: Console, container: str) -> None:
    session = open_one(console, container)
    found = console.bottle.python("tests.live.test_terminal:knock", session, env=console.product.env)
    assert found == {"forged": "refused", "first": "attached", "again": "refused", "stranger": "", "mode": "0o660"}
    console.call("DELETE", f"terminals/{session}")


def add_user(name: str, role: str) -> None:
    """Runs inside."""
    import django

    django.setup()
    from networks.services.actor import Actor
    from networks.services.users import create_user

    admin = Actor(name="admin", role="admin", via="shell")
    create_user(admin, name, "a-password-for-tests", role)


def knock(session_id: str) -> dict[str, str]:
    """Runs inside: what the root side answers to tickets of all kinds, and to a stranger."""
    import os
    import socket
    import stat

    import django

    django.setup()
    from networks.cnm import frames
    from networks.exec_client import socket_path
    from networks.models import ExecSession
    from networks.services.actor import Actor
    from networks.services.terminals import ticket

    path = str(socket_path())

    def ask(text: str, uid: int = 0) -> str:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(10)
            os.seteuid(uid)
            try:
                channel.connect(path)
            finally:
                os.seteuid(0)
            data = b""
            with contextlib.suppress(BrokenPipeError):  # a stranger may be turned away before it says a word
                channel.sendall(frames.told(frames.TICKET, {"ticket": text}))
            with contextlib.suppress(ConnectionResetError):
                data = channel.recv(65536)
        return str(frames.Frames().feed(data)[0].json()["state"]) if data else ""

    good = ticket(Actor(name="admin", role="admin", via="shell"), ExecSession.objects.get(pk=session_id))
    found = {"forged": ask(good[:-2] + "xx"), "first": ask(good), "again": ask(good)}
    mode = oct(stat.S_IMODE(os.stat(path).st_mode))
    os.chmod(path, 0o666)  # noqa: S103  # even if everybody could open it
    found["stranger"] = ask(good, uid=65534)
    os.chmod(path, 0o660)
    return {**found, "mode": mode}
