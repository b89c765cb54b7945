"""The DNS server's real processes in a throw-away host, its handler, sandboxes to ask from, and servers to pass questions on to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dnslib

from networks.cnm.names import NAMINGS
from networks.cnm.plan import Step
from networks.cnm.resources import NameRecord, NameServer, Owner, Resource
from worker.apply.names import NamesHandler
from worker.firewall.name_server import leader
from worker.kernel.netns import Namespaces

SOCKET = Path("/run/dns.sock")
OWNER = Owner(kind="container", id="0123456789ab" + "c" * 52, name="web")


@cache
def namespaces() -> Namespaces:
    """Of the throw-away host: it remembers where it was made, so it is made there."""
    return Namespaces(Path("/run/netns"))


def sandbox_name(number: int) -> str:
    return f"cnm-{number:012x}"


class Dns:
    """The opener, its resolver, and the worker's handler."""

    def __init__(self, flavour: str = "iptables-nft", naming: str = "cnm") -> None:
        self.handler = NamesHandler(SOCKET, leader(flavour, NAMINGS[naming]))
        self.start()

    def start(self) -> None:
        self.opener = subprocess.Popen([sys.executable, "-m", "worker.dns", "--socket", str(SOCKET)])
        until(SOCKET.exists)

    def kill_opener(self) -> None:
        self.opener.kill()
        self.opener.wait(10)

    def stop(self) -> None:
        self.opener.terminate()
        self.opener.wait(10)

    def resolver(self) -> int:
        """The pid of the process that answers."""

        def look() -> int:
            children = Path(f"/proc/{self.opener.pid}/task/{self.opener.pid}/children").read_text().split()
            return int(children[0]) if children else 0

        return until(look)

    def apply(self, *steps: Step) -> None:
        done: list[Step] = []
        self.handler.apply(steps, done.append)
        assert done == list(steps)

    def make(self, *resources: Resource) -> None:
        self.apply(*(Step(None, resource) for resource in resources))

    def remove(self, *resources: Resource) -> None:
        self.apply(*(Step(resource, None) for resource in resources))


@contextmanager
def dns(flavour: str = "iptables-nft", naming: str = "cnm") -> Iterator[Dns]:
    made = Dns(flavour, naming)
    try:
        yield made
    finally:
        made.stop()


def sandbox(number: int = 1, **fields: Any) -> NameServer:
    """A new namespace, with lo up, and the server that is to be in it."""
    name = sandbox_name(number)
    namespaces().create(name, ipv6=False).close()
    run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "-n", name, "address", "add", "10.0.0.99/32", "dev", "lo")  # getent asks for families that are in use
    return server(number, **fields)


def server(number: int = 1, **fields: Any) -> NameServer:
    return NameServer(sandbox=sandbox_name(number), owner=OWNER, **({"networks": ("app-id",)} | fields))


def record(number: int, name: str, *addresses: str, on: str = "app", aliases: tuple[str, ...] = ()) -> NameRecord:
    return NameRecord(
        network_id=f"{on}-id",
        endpoint_id=f"{on}-{number}",
        network_name=on,
        container_id=f"{number:012x}",
        names=(name, *aliases, f"{number:012x}"),
        addresses=tuple(map(ip_address, addresses)),
        owner=OWNER,
    )


def run(*command: str, check: bool = True, timeout: float = 30) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def inside(number: int, *command: str, check: bool = True, timeout: float = 30) -> str:
    """What *command* prints in a sandbox, with a resolv.conf that names our server."""
    name = sandbox_name(number)
    folder = Path("/etc/netns") / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.11\noptions ndots:0\n")
    return run("ip", "netns", "exec", name, *command, check=check, timeout=timeout)


def dig(number: int, *words: str) -> list[str]:
    return sorted(inside(number, "dig", "+short", "+tries=1", "+time=8", *words, check=False).split())


def status(number: int, *words: str) -> str:
    """The status that dig reads in the answer's header."""
    text = inside(number, "dig", "+tries=1", "+time=9", *words, check=False)
    return text.partition("status: ")[2].partition(",")[0]


@contextmanager
def in_namespace(path: str) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with namespaces().entered(descriptor):
            yield
    finally:
        os.close(descriptor)


def socket_inside(number: int, kind: int = socket.SOCK_DGRAM) -> socket.socket:
    with in_namespace(f"/run/netns/{sandbox_name(number)}"):
        return socket.socket(socket.AF_INET, kind)


def until(look: Callable[[], Any], within_s: float = 20) -> Any:
    deadline = time.monotonic() + within_s
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert seen, "it did not come to pass"
    return seen


Answer = Callable[[dnslib.DNSRecord], dnslib.DNSRecord | list[bytes] | None]
"""What a server sends back: a message, several as they are, or nothing."""


def address_answer(address: str) -> Answer:
    def answer(query: dnslib.DNSRecord) -> dnslib.DNSRecord:
        reply = query.reply()
        reply.add_answer(dnslib.RR(query.q.qname, dnslib.QTYPE.A, ttl=60, rdata=dnslib.A(address)))
        return reply

    return answer


class Upstream:
    """A server to pass questions on to: it listens in the namespace at *path* and notes what it is asked."""

    def __init__(self, address: str, answer: Answer, path: str = "/proc/self/ns/net") -> None:
        self.answer = answer
        self.asked: list[dnslib.DNSRecord] = []
        self.ports: list[int] = []
        with in_namespace(path):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((address, 53))
            self.tcp = socket.create_server((address, 53))
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    @property
    def names(self) -> list[str]:
        return [str(query.q.qname) for query in self.asked]

    def _serve_udp(self) -> None:
        while True:
            packet, sender = self.udp.recvfrom(4096)
            self.ports.append(sender[1])
            for reply in self._replies(packet):
                self.udp.sendto(reply, sender)

    def _serve_tcp(self) -> None:
        while True:
            client, _ = self.tcp.accept()
            with client:
                head = client.recv(2)
                for reply in self._replies(client.recv(int.from_bytes(head, "big"))):
                    client.sendall(len(reply).to_bytes(2, "big") + reply)

    def _replies(self, packet: bytes) -> list[bytes]:
        query = dnslib.DNSRecord.parse(packet)
        self.asked.append(query)
        reply = self.answer(query)
        if isinstance(reply, dnslib.DNSRecord):
            return [bytes(reply.pack())]
        return reply or []
