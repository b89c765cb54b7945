"""Several throw-away hosts, each with the product, over one PostgreSQL and one Redis, joined by a bridge.

with Cluster(3) as cluster:
    cluster.call("POST", "networks", {"name": "app", "driver": "overlay"}, host="h1")

The bridge stands in a host of its own, the *outside*, which has nothing of the product: published ports are asked for from there.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from .bottle import Bottle
from .certificates import certificate
from .postgres import Postgres
from .product import COMMANDS, START_TIMEOUT_S, Product, accepts

T = TypeVar("T")
OUTSIDE = "192.0.2.1"
MTU = 1500


def plug_in(outside: Bottle, bottle: Bottle, name: str, address: str) -> None:
    """A cable from ``eth0`` of *bottle* to the bridge outside. Its ends are born in place: the machine's own network never sees them."""
    enter = ["nsenter", f"--net=/proc/{outside.pid}/ns/net", "ip", "link"]
    with contextlib.suppress(subprocess.CalledProcessError):  # the host before a reboot may still be going
        subprocess.run([*enter, "delete", name], check=True, capture_output=True, timeout=20)
    peer = ["peer", "name", "eth0", "mtu", str(MTU), "netns", str(bottle.pid)]
    cable = ["add", name, "mtu", str(MTU), "master", "br0", "type", "veth", *peer]
    subprocess.run([*enter, *cable], check=True, capture_output=True, timeout=20)
    subprocess.run([*enter, "set", name, "up"], check=True, capture_output=True, timeout=20)
    for words in (
        ("address", "add", f"{address}/24", "dev", "eth0"),
        ("link", "set", "eth0", "up"),
        ("route", "add", "default", "via", OUTSIDE),
    ):
        bottle.run(["ip", *words])


class Member(Product):
    """The product on one of the hosts; the *first* one has the console, too. *env* is what it was told when it joined."""

    def __init__(self, number: int, outside: Bottle, env: dict[str, str], *, first: bool) -> None:
        self.name, self.address, self.first = f"h{number}", f"192.0.2.{10 + number}", first
        super().__init__({**env, "CNM_HOST_NAME": self.name})
        self._outside = outside
        self._joined = False

    def _boot(self) -> None:
        self.bottle = Bottle(state_dir=self._folder / "state").__enter__()
        self.bottle.run(["mkdir", "-p", "/run/cnm/redis", "/var/lib/cnm"])
        plug_in(self._outside, self.bottle, self.name, self.address)
        if self.first and not self._joined:
            self.manage("migrate", "-v0")
            self._token = str(self.bottle.python("tests.testlib.product:first_start", env=self.env))
        else:
            self.manage("bootstrap")
        self._joined = True
        for name in COMMANDS:
            if name != "redis" and (self.first or name != "web"):
                self.start(name)
        if self.first:
            transport = httpx.HTTPTransport(uds=str(self.bottle.root / "run/cnm/web.sock"))
            headers = {"Authorization": f"Bearer {self._token}"}
            self.api = httpx.Client(transport=transport, base_url="http://localhost", headers=headers, timeout=120)
            self._stack.callback(self.api.close)

    def die(self) -> None:
        """The power fails: nothing of the host is left but its disk."""
        self.bottle.close()

    def return_(self) -> None:
        """It is switched on again."""
        self._boot()


class Cluster:
    """The hosts ``h1`` to ``hN``, running. With *tls* PostgreSQL and Redis speak that and nothing else; ``certificates`` is the folder of
    their certificate, and of one that somebody else has."""

    def __init__(self, count: int, *, tls: bool = False) -> None:
        self._count, self._tls = count, tls
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.outside = self._stack.enter_context(Bottle())
        for words in (
            # With an address of its own: else it takes that of each new cable with a lower one, and who knows the old one is not heard.
            ("link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge"),
            ("address", "add", f"{OUTSIDE}/24", "dev", "br0"),
            ("link", "set", "br0", "up"),
        ):
            self.outside.run(["ip", *words])
        self.certificates = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cnm-tls-")))
        self.certificates.chmod(0o755)  # the product's own user reads the public part
        ours = certificate(self.certificates, "ours", OUTSIDE) if self._tls else None
        server = self._stack.enter_context(Postgres(f"/proc/{self.outside.pid}/ns/net", OUTSIDE, certificate=ours))
        password = secrets.token_hex(8)
        command = ["redis-server", "--bind", OUTSIDE, "--requirepass", password, "--save", "", "--appendonly", "no"]
        if ours is not None:
            command += ["--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no"]
            command += ["--tls-cert-file", str(ours.public), "--tls-key-file", str(ours.private)]
        self.outside.popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        env = {
            "CNM_DATABASE_URL": server.tcp_url,
            "CNM_REDIS_URL": f"rediss://:{password}@{OUTSIDE}:6379/0?ssl_ca_certs={ours.public}"
            if ours is not None
            else f"redis://:{password}@{OUTSIDE}:6379/0",
            "CNM_SECRET_KEY": secrets.token_hex(20),
        }
        self.members: dict[str, Member] = {}
        for number in range(1, self._count + 1):
            member = Member(number, self.outside, env if number == 1 else self.invite(f"h{number}"), first=number == 1)
            self.members[member.name] = self._stack.enter_context(member)
            if number == 1:
                self.until(lambda: _answers(self.members["h1"]))
        self.until(lambda: all(row["alive"] for row in self.hosts().values()) and len(self.hosts()) == self._count)

    def cut_off(self, name: str) -> None:
        """From now on the host reaches neither PostgreSQL nor Redis, nor does either reach it; its cable to the other hosts stays."""
        for chain, side in (("INPUT", "-s"), ("OUTPUT", "-d")):
            self.outside.run(["iptables", "-I", chain, side, self.members[name].address, "-j", "DROP"])

    def connect_again(self, name: str) -> None:
        for chain, side in (("INPUT", "-s"), ("OUTPUT", "-d")):
            self.outside.run(["iptables", "-D", chain, side, self.members[name].address, "-j", "DROP"])

    def invite(self, name: str) -> dict[str, str]:
        """What the console tells a host that joins as *name*, by a token of an admin's."""
        token = self.call("POST", "hosts/join-tokens", {})["token"]
        settings: dict[str, str] = self.call("POST", "hosts/join", {"token": token, "name": name})["settings"]
        return settings

    def hosts(self) -> dict[str, Any]:
        return {row["name"]: row for row in self.call("GET", "hosts")["results"]}

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """REST in a few words; a call that is refused fails the test with the problem's own text."""
        answer = self.raw(method, path, body, **params)
        logs = self.logs() if answer.status_code >= 500 else ""
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}\n{logs}"
        return answer.json() if answer.content else None

    def raw(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return self.members["h1"].api.request(method, f"/api/v1/{path}", json=body, params=params)

    def run(self, host: str, name: str, *command: str, **spec: Any) -> Any:
        """A container on *host* that runs *command* (default: sleeps), up when this returns."""
        body = {"name": name, "command": list(command) or ["sleep", "1000"], **spec}
        return self.call("POST", "containers", body, host=host)

    def inside(self, host: str, container: str, *command: str) -> Any:
        """What *command* gave in the sandbox of *container*: run by the host itself, beside the product."""
        sandbox = self.call("GET", f"containers/{container}", host=host)["sandbox"]
        return self.members[host].bottle.run(["ip", "netns", "exec", sandbox, *command], check=False)

    def pings(self, host: str, container: str, address: str) -> bool:
        return bool(self.inside(host, container, "ping", "-c1", "-W1", address).returncode == 0)

    def until(self, look: Callable[[], T], within_s: float = START_TIMEOUT_S) -> T:
        """*look* again and again until it gives something true; the test fails where it never does."""
        deadline = time.monotonic() + within_s
        while not (seen := look()):
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.02)
        return seen

    def logs(self) -> str:
        return "\n".join(f"===== {name}\n{member.logs()}" for name, member in self.members.items())


def _answers(member: Member) -> bool:
    """Whether the console is there. Asked by hand first: a client that is refused leaves its socket to the garbage collector."""
    return accepts(member.bottle.root / "run/cnm/web.sock") and member.api.get("/health").status_code == 200
