"""The port holder: what it holds nobody else gets, a batch is whole or nothing, and what it carries arrives."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.testlib.bottle import Bottle, inside

pytestmark = pytest.mark.kernel
SOCKET = Path("/run/holder.sock")
SPEAK = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('/run/holder.sock'); s.sendall(b'{}\\n'); print(s.recv(99))"


@contextmanager
def holder() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "worker.holder", "--socket", str(SOCKET)])
    deadline = time.monotonic() + 20
    while not listens() and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def listens() -> bool:
    """The file alone does not say so: it may be an earlier holder's, and is there a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(SOCKET)) == 0


def ask(request: Any) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(SOCKET))
        client.sendall((request if isinstance(request, str) else json.dumps(request)).encode() + b"\n")
        return dict(json.loads(client.makefile().readline()))


def port(
    number: int, target: tuple[str, int] | None = None, protocol: str = "tcp", address: str = "0.0.0.0"
) -> dict[str, Any]:
    return {"protocol": protocol, "address": address, "port": number, "target": target}


def taken(number: int, kind: int = socket.SOCK_STREAM) -> bool:
    with socket.socket(socket.AF_INET, kind) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("", number))
        except OSError:
            return True
        return False


@inside
def test_what_is_held_nobody_else_gets_until_it_is_released() -> None:
    with holder():
        both = [port(8080), port(8080, protocol="udp")]
        assert ask({"reserve": both})["ok"]
        assert taken(8080)
        assert taken(8080, socket.SOCK_DGRAM)
        assert [item["protocol"] for item in ask({})["ports"]] == ["tcp", "udp"]
        about = {"about": [port(8080, protocol="udp"), port(9999)]}
        assert [item["protocol"] for item in ask(about)["ports"]] == ["udp"]
        assert ask({"release": both}) == {"ok": True}
        assert ask({}) == {"ok": True, "ports": []}
        assert not taken(8080)
        assert not taken(8080, socket.SOCK_DGRAM)


@inside
def test_a_batch_with_one_port_in_use_reserves_none_and_names_it() -> None:
    with holder(), socket.create_server(("", 8082)):
        answer = ask({"reserve": [port(8081), port(8082), port(8083)]})
        assert (answer["ok"], answer["code"], answer["port"]) == (False, "conflict", 8082)
        assert ask({}) == {"ok": True, "ports": []}
        assert not taken(8081)


@inside
def test_nonsense_is_refused_and_the_holder_lives_on() -> None:
    nonsense: tuple[Any, ...] = (
        "no json",
        "[]",
        {"reserve": 7},
        {"about": 7},
        {"about": [port(0)]},
        {"reserve": [port(0)]},
        {"reserve": [port(65536)]},
        {"reserve": [port(80, protocol="icmp")]},
        {"reserve": [port(80, address="not an address")]},
        {"reserve": [{**port(80), "target": ["x"]}]},
        "x" * 100_000,
    )
    with holder() as process:
        for request in nonsense:
            assert ask(request) == {"ok": False, "code": "malformed"}, request
        assert process.poll() is None
        assert ask({}) == {"ok": True, "ports": []}


@inside
def test_nobody_but_root_may_speak_to_it() -> None:
    with holder():
        assert SOCKET.stat().st_mode & 0o777 == 0o600
        SOCKET.chmod(0o666)  # even so
        stranger = subprocess.run([sys.executable, "-c", SPEAK], user=65534, capture_output=True, check=False, cwd="/")
        assert b"ok" not in stranger.stdout


def echo(server: socket.socket) -> None:
    """Sends back what one client sent, once it has ended its side."""
    client, _ = server.accept()
    with client:
        client.sendall(b"".join(iter(lambda: client.recv(65536), b"")))


@inside
def test_a_carried_connection_brings_all_bytes_both_ways_and_keeps_the_half_that_is_open() -> None:
    sent = os.urandom(3_000_000)
    with holder(), socket.create_server(("127.0.0.1", 9000)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        assert ask({"reserve": [port(8080, ("127.0.0.1", 9000))]})["ok"]
        with socket.create_connection(("127.0.0.1", 8080), timeout=20) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: client.recv(65536), b"")) == sent


@inside
def test_datagrams_of_two_senders_do_not_mix() -> None:
    with holder(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 9000))
        server.settimeout(10)
        assert ask({"reserve": [port(5353, ("127.0.0.1", 9000), "udp")]})["ok"]
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for number, client in enumerate(clients):
            client.settimeout(10)
            client.sendto(str(number).encode(), ("127.0.0.1", 5353))
        for _ in clients:
            data, sender = server.recvfrom(99)
            server.sendto(b"for " + data, sender)
        assert [client.recv(99) for client in clients] == [b"for 0", b"for 1"]


@inside
def test_a_port_that_only_is_held_answers_with_a_reset() -> None:
    with holder():
        assert ask({"reserve": [port(8080)]})["ok"]
        # The reset may be there as soon as the connection is.
        with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", 8080), timeout=10) as client:
            client.recv(1)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_moves_between_one_address_and_all(bottle: Bottle, protocol: str) -> None:
    bottle.call(move_a_port, protocol)


def move_a_port(protocol: str) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    one, everywhere = port(8080, protocol=protocol, address="127.0.0.1"), port(8080, protocol=protocol)
    with holder():
        assert ask({"reserve": [one]})["ok"]
        assert ask({"reserve": [everywhere]})["code"] == "conflict", "it is not given up unasked"
        for before, after in ((one, everywhere), (everywhere, one)):
            assert ask({"reserve": [after], "release": [before]})["ok"]
            assert ask({})["ports"] == [after]
            assert taken(8080, kind)
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind(("127.0.0.2", 8080))
            assert ask({"reserve": [everywhere], "release": [one]})["code"] == "conflict"
        assert ask({})["ports"] == [one], "what was held is held again"
        assert taken(8080, kind)
