"""Many who wait at once, logs that grow faster than they are read, and commands whose holder dies."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from tests.engine.conftest import Docker
from tests.testlib.product import DOCKER_SOCKET

pytestmark = pytest.mark.kernel
WAITERS = 200


def wait_at_once(count: int) -> list[Any]:
    """Runs inside: *count* clients wait for a container, others are answered meanwhile, then it ends."""
    import asyncio

    async def asked(method: str, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(DOCKER_SOCKET)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")  # the head comes at once
        return reader, writer

    async def answer(method: str, path: str) -> bytes:
        reader, writer = await asked(method, path)
        try:
            return await reader.read()
        finally:
            writer.close()

    async def main() -> list[Any]:
        waiting = await asyncio.gather(*(asked("POST", "/containers/web/wait") for _ in range(count)))
        followed = await asyncio.gather(
            *(asked("GET", "/containers/web/logs?follow=1&stdout=1&tail=0") for _ in range(count // 4))
        )
        events = await asyncio.gather(*(asked("GET", "/events") for _ in range(count // 4)))
        names = [item["Names"] for item in json.loads((await answer("GET", "/containers/json")).split(b"\r\n")[0])]
        pinged = await answer("GET", "/_ping")
        await answer("POST", "/containers/web/kill")
        codes = [json.loads((await reader.read()).split(b"\r\n")[1])["StatusCode"] for reader, _ in waiting]
        for reader, _ in followed:
            await reader.read()
        for _, writer in (*waiting, *followed, *events):
            writer.close()
        return [names, pinged.decode(), codes]

    return asyncio.run(asyncio.wait_for(main(), 100))


def test_hundreds_who_wait_leave_the_socket_answering(cli: Docker) -> None:
    cli.said("run", "-d", "--name", "web", "host", "sleep", "1000")
    names, pinged, codes = cli.bottle.python(wait_at_once, WAITERS, timeout=120)
    assert (names, pinged) == ([["/web"]], "OK")
    assert codes == [137] * WAITERS


LINES = 600_000


def test_what_a_followed_log_loses_it_says_at_its_place(cli: Docker) -> None:
    cli.said("create", "--name", "web", "host", "sh", "-c", f"seq 1 {LINES}; echo the end")
    follow = "docker start web >/dev/null; exec docker logs -f web 2>&1"
    environment = {"HOME": "/run/docker-home", "DOCKER_HOST": f"unix://{DOCKER_SOCKET}"}
    printed = cli.bottle.run(["sh", "-c", follow], timeout=120, env=environment).stdout.splitlines()
    assert printed[-1] == "the end"
    before, unsaid = 0, []
    for line in printed[:-1]:
        if line.startswith("["):
            assert "is lost" in line
            before = -1
            continue
        if before not in {-1, int(line) - 1}:
            unsaid.append((before, int(line)))
        before = int(line)
    assert unsaid == [], "nothing is lost silently"


def test_a_log_that_was_begun_anew_says_so_before_its_first_line(cli: Docker) -> None:
    cli.said("run", "--name", "web", "host", "sh", "-c", f"seq 1 {LINES // 2}; echo the end", timeout=100)
    for words in (("logs",), ("logs", "-f"), ("logs", "-t")):
        found = cli.docker(*words, "web")
        assert "printed before is lost" in found.stderr
        first, *_, last = found.stdout.splitlines()
        assert int(first.split()[-1]) > 1
        assert last.endswith("the end")
    for few in (("--tail", "5"), ("--since", str(time.time() + 60))):
        assert cli.docker("logs", *few, "web").stderr == ""
    cli.said("run", "--name", "quiet", "host", "echo", "little")
    assert cli.docker("logs", "-f", "quiet").stderr == ""


def test_a_command_whose_holder_dies_is_no_success(cli: Docker) -> None:
    cli.said("run", "-d", "--name", "web", "host", "sleep", "1000")
    command = ["docker", "-H", f"unix://{DOCKER_SOCKET}", "exec"]
    clients = [cli.bottle.popen([*command, *flags, "web", "sleep", "500"]) for flags in ([], ["-t"])]
    assert cli.until(lambda: cli.said("top", "web").count("sleep 500") == 2)
    cli.product.kill("sessions")
    codes = []
    for client in clients:
        client.communicate(timeout=30)
        codes.append(client.returncode)
    assert all(codes), "nobody knows how they ended, so not well"
    cli.product.start("sessions")
    assert cli.until(lambda: cli.docker("exec", "web", "true", code=None).returncode == 0)


KILLED = """
import subprocess

def main(words, size, killed):
    command = ["docker", "-H", "unix:///run/cnm/docker.sock", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        count = 0
        while data := client.stdout.read1(1 << 16):
            count += len(data)
            if killed and count >= size:
                subprocess.run(["kill", "-KILL", *killed], check=True)
                killed = []
        return [count, client.stderr.read().decode(), client.wait()]
"""


def test_a_flood_whose_holder_dies_is_no_success_and_its_container_goes_on(cli: Docker) -> None:
    size = 50 << 20
    cli.said("create", "--name", "web", "host", "sh", "-c", f"head -c {size} /dev/zero; touch /tmp/over; sleep 1000")
    found = cli.bottle.run(["pgrep", "-f", "worker.sessions"]).stdout.split()
    count, said, code = cli.bottle.python(KILLED, ["start", "-a", "web"], 1 << 20, found, timeout=120)
    assert count < size
    assert "broke off" in said
    assert code not in {0, None}
    assert cli.until(lambda: cli.inside("web", "ls", "/tmp")["stdout"].strip() == "over"), "nobody keeps it back"
    cli.product.process("sessions").wait(timeout=10)
    cli.product.start("sessions")
    assert cli.until(lambda: cli.docker("exec", "web", "true", code=None).returncode == 0)


def attached(cli: Docker, name: str) -> socket.socket:
    """A client that is attached to a container before its start."""
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(60)
    channel.connect(str(cli.bottle.root) + DOCKER_SOCKET)
    upgrade = "Host: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    channel.sendall(f"POST /containers/{name}/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\n{upgrade}".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += channel.recv(1)
    assert b" 101 " in head
    return channel


@pytest.mark.long
@pytest.mark.parametrize("command", [("echo", "heard"), ("sh", "-c", "echo heard; sleep 1000")])
def test_what_a_start_did_not_wait_for_does_not_look_whole(cli: Docker, command: tuple[str, ...]) -> None:
    """The process that holds the streams stands still for longer than a start waits for it."""
    cli.said("create", "--name", "web", "host", *command)
    with attached(cli, "web") as client:
        cli.product.signal("sessions", "STOP")
        try:
            cli.said("start", "web")
            if command[0] == "echo":
                assert cli.until(lambda: cli.state("web") == "exited")
        finally:
            cli.product.signal("sessions", "CONT")
        said = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert said.startswith(b"\x03"), "a failure of the server, by which docker run fails"
    assert b"is lost" in said
