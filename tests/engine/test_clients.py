"""Who may speak to the Docker API, and other clients than the command line: docker-py, and a terminal that a person leaves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.conftest import Docker
from tests.testlib.product import DOCKER_SOCKET, Product

pytestmark = [pytest.mark.kernel, pytest.mark.long]
GROUP = "users"
PORT = 2376
CERTIFICATES = """
set -e
mkdir -p /run/tls && cd /run/tls
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca-key.pem -out ca.pem
sign() {
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout $1-key.pem -out $1.csr
    printf "subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=$3\\n" >$1.ext
    openssl x509 -req -days 2 -in $1.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -extfile $1.ext -out $1.pem
}
sign server 127.0.0.1 serverAuth
sign client ci-bot clientAuth
cp client.pem cert.pem && cp client-key.pem key.pem
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=stranger -keyout other-key.pem -out other.pem
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Docker]:
    with Product() as product:
        product.bottle.run(["sh", "-c", CERTIFICATES])
        tls = {
            f"CNM_DOCKER_TLS_{name}": f"/run/tls/{file}.pem"
            for name, file in (("CERT", "server"), ("KEY", "server-key"), ("CA", "ca"))
        }
        product.serve_engine({**tls, "CNM_DOCKER_TCP": f"127.0.0.1:{PORT}", "CNM_DOCKER_GROUP": GROUP})
        yield Docker(product)


def as_user(cli: Docker, groups: str, *words: str) -> subprocess.CompletedProcess[str]:
    """``docker WORDS`` by nobody, who is in these groups."""
    person = ["setpriv", "--reuid=nobody", "--regid=nogroup", *(["--groups", groups] if groups else ["--clear-groups"])]
    command = [*person, "docker", "-H", f"unix://{DOCKER_SOCKET}", *words]
    return cli.bottle.run(command, check=False, env={"HOME": "/run/nobody"})


def test_the_sockets_group_has_the_settings_role_and_others_have_none(cli: Docker) -> None:
    assert cli.bottle.run(["stat", "-c", "%a %U %G", DOCKER_SOCKET]).stdout.split() == ["660", "root", GROUP]
    assert "permission denied" in as_user(cli, "", "ps").stderr
    assert as_user(cli, GROUP, "network", "create", "lan").returncode == 0
    assert cli.get("networks/lan")["created_by"] == "nobody"
    cli.bottle.run(["mkdir", "-p", "/run/open"])
    refused = as_user(cli, GROUP, "create", "-v", "/run/open:/mnt", "host", "true")
    assert "may not be mounted by the role operator" in refused.stderr
    cli.said("create", "-v", "/run/open:/mnt", "--name", "mounts", "host", "true")
    assert as_user(cli, GROUP, "run", "-d", "--name", "web", "host", "sleep", "99").returncode == 0
    assert as_user(cli, GROUP, "exec", "web", "echo", "in").stdout == "in\n"


def test_a_certificate_lets_in_by_tcp_and_nothing_else_does(cli: Docker) -> None:
    url = ["-H", f"tcp://127.0.0.1:{PORT}"]

    def asked(*words: str) -> subprocess.CompletedProcess[str]:
        return cli.bottle.run(
            ["docker", *url, *words], check=False, env={"DOCKER_CERT_PATH": "/run/tls", "HOME": "/run/x"}
        )

    made = asked("--tlsverify", "network", "create", "far")
    assert made.returncode == 0, made.stderr + cli.product.logs()
    assert cli.get("networks/far")["created_by"] == "ci-bot (certificate)"
    ran = asked("--tlsverify", "run", "--rm", "-i", "host", "echo", "hello")
    assert ran.stdout == "hello\n", ran.stderr
    strange = ["--tls", "--tlscert", "/run/tls/other.pem", "--tlskey", "/run/tls/other-key.pem"]
    assert asked(*strange, "ps").returncode != 0
    assert asked("ps").returncode != 0, "no plain TCP"


TERMINAL = """
import os, pty, select, sys, time

def talk(words, turns):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp("docker", ["docker", "-H", "unix:///run/cnm/docker.sock", *words])
    said, turns, deadline = "", list(turns), time.monotonic() + 30
    while time.monotonic() < deadline:
        ready, _, _ = select.select([fd], [], [], 0.2)
        if ready:
            try:
                piece = os.read(fd, 4096)
            except OSError:
                break
            said += piece.decode()
        if turns and turns[0][0] in said:
            os.write(fd, turns.pop(0)[1].encode())
    return said, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def main(words, turns):
    return talk(words, turns)
"""


def test_a_person_leaves_a_terminal_and_comes_back(cli: Docker) -> None:
    def talked(words: list[str], *turns: tuple[str, str]) -> Any:
        return cli.bottle.python(TERMINAL, words, turns)

    said, code = talked(["run", "-it", "--name", "shell", "host", "sh"], ("#", "echo o$((1+1))\n"), ("o2", "\x10\x11"))
    assert ("o2" in said, code) == (True, 0)
    assert cli.state("shell") == "running"
    said, code = talked(["attach", "shell"], ("", "echo p$((1+1))\n"), ("p2", "exit 4\n"))
    assert ("p2" in said, code) == (True, 4)
    said, code = talked(["start", "-ai", "shell"], ("#", "exit 5\n"))
    assert code == 5
    cli.said("start", "shell")
    said, code = talked(["exec", "-it", "shell", "sh"], ("#", "echo q$((1+1)); tty\n"), ("pts", "exit 6\n"))
    assert ("q2" in said, code) == (True, 6)


def with_docker_py() -> dict[str, Any]:
    """Runs inside."""
    import threading

    import docker

    client = docker.DockerClient(base_url=f"unix://{DOCKER_SOCKET}")
    pool = docker.types.IPAMPool(subnet="10.77.0.0/24", gateway="10.77.0.254")
    network = client.networks.create("lan", ipam=docker.types.IPAMConfig(pool_configs=[pool]), check_duplicate=True)
    said: list[Any] = []
    events = client.events(decode=True, filters={"type": "network"})
    listener = threading.Thread(target=lambda: said.extend(events))
    listener.start()
    web = client.containers.run(
        "host",
        ["sh", "-c", "echo out; echo err >&2; sleep 100"],
        name="web",
        detach=True,
        network="lan",
        ports={"80/tcp": 8123},
        mac_address="02:42:0a:4d:00:09",
    )
    network.disconnect(web)
    network.connect(web, ipv4_address="10.77.0.50", aliases=["www"])
    web.reload()
    found: dict[str, Any] = {
        "address": web.attrs["NetworkSettings"]["Networks"]["lan"]["IPAddress"],
        "ports": web.ports["80/tcp"][0]["HostPort"],
        "exec": web.exec_run(["sh", "-c", "echo in; exit 4"], demux=True),
        "logs": web.logs().decode(),
        "ran": client.containers.run("host", ["echo", "once"], remove=True).decode(),
        "pids": web.stats(stream=False)["pids_stats"]["current"],
        "errors": [],
    }
    for wrong in (
        lambda: client.containers.run("host", ["sh", "-c", "exit 3"], remove=True),
        lambda: client.networks.get("nosuch"),
        lambda: client.images.get("nosuch"),
        lambda: client.containers.create("nosuch"),
        web.remove,
        network.remove,
    ):
        try:
            wrong()
        except docker.errors.DockerException as error:
            found["errors"].append(type(error).__name__)
    web.stop(timeout=0)
    found["code"] = web.wait()["StatusCode"]
    events.close()
    listener.join(10)
    found["listens"] = listener.is_alive()
    found["events"] = [event["Action"] for event in said]
    found["exec"] = [found["exec"][0], found["exec"][1][0].decode()]
    client.close()
    return found


def test_docker_py_does_what_it_does_with_docker(cli: Docker) -> None:
    found = json.loads(json.dumps(cli.bottle.python(with_docker_py)))
    assert (found["address"], found["ports"], found["exec"]) == ("10.77.0.50", "8123", [4, "in\n"])
    assert (found["logs"], found["ran"], found["code"]) == ("out\nerr\n", "once\n", 137)
    assert found["pids"] == 2
    assert found["errors"] == ["ContainerError", "NotFound", "ImageNotFound", "ImageNotFound", "APIError", "APIError"]
    assert found["events"][:3] == ["connect", "disconnect", "connect"]
    assert not found["listens"]
