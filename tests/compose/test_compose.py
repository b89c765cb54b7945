"""docker-compose.yml, really: built from the Dockerfile, started by Docker Compose on a Docker Engine, used, replaced and rebooted."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator

import pytest

from tests.packaging.machine import until

from .host import BUILD_TIMEOUT_S, ComposeHost

pytestmark = [pytest.mark.kernel, pytest.mark.long, pytest.mark.timeout(3600)]
PASSWORD = "only-for-this-throw-away-host"
SECRETS = {"CNM_DB_PASSWORD": "of the database", "CNM_SECRET_KEY": "k" * 50, "CNM_ADMIN_PASSWORD": PASSWORD}
SOCKET = "unix:///run/cnm/docker.sock"
CONTAINERS_RIGHTS = "00000000a80425fb"
"""Docker's own capabilities of a container, as /proc shows them."""


@pytest.fixture(scope="module")
def host() -> Iterator[ComposeHost]:
    """With everything built and started."""
    with ComposeHost() as host:
        with host.archives_reachable():
            host.docker("compose", "build", env=SECRETS, timeout=BUILD_TIMEOUT_S)
        up(host)
        yield host


def up(host: ComposeHost, *words: str) -> None:
    """Returns when every part says that it is well."""
    host.docker("compose", "up", "-d", "--wait", "--no-build", *words, env=SECRETS, timeout=300)


def story(host: ComposeHost, chapter: str) -> object:
    """A function of :mod:`tests.compose.story`, in the host."""
    return host.bottle.python(f"tests.compose.story:{chapter}", PASSWORD, timeout=200)


def fetched(host: ComposeHost, port: int) -> str:
    """What the published port gives to the outside."""
    ask = ["busybox", "timeout", "5", "busybox", "wget", "-qO-", f"http://192.0.2.2:{port}/hostname"]
    return host.bottle.run(ask, netns="outside", check=False).stdout.strip()


def archive() -> bytes:
    """A root filesystem of one program, some of whose files belong to somebody."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        link = tarfile.TarInfo("bin/id")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
        theirs = tarfile.TarInfo("home/theirs")
        theirs.uid = theirs.gid = 1000
        theirs.mode = 0o4750
        tar.addfile(theirs)
    return out.getvalue()


def use(host: ComposeHost) -> None:
    """Everything that the parts are for, once."""
    story(host, "begin")
    assert fetched(host, 8080) == fetched(host, 81) != ""
    story(host, "look")
    sandbox = story(host, "sandbox")
    host.bottle.run(["ip", "-n", str(sandbox), "route", "delete", "default"])
    story(host, "sees_drift")
    listens = "import socket, time; s = socket.create_server(('0.0.0.0', 9090)); time.sleep(600)"
    nobody = ["setpriv", "--reuid=65534", "--clear-groups", "python3", "-c", listens]
    with host.bottle.popen(nobody) as program:
        assert until(lambda: ":9090 " in host.bottle.run(["ss", "-Hltn"]).stdout, 10)
        host.bottle.python("tests.compose.story:is_told_who_holds", PASSWORD, 9090, "python3", timeout=100)
        program.kill()
    assert host.docker("-H", SOCKET, "exec", "web", "id", "-u").stdout == "0\n"
    rights = host.docker("-H", SOCKET, "exec", "web", "grep", "CapEff", "/proc/self/status").stdout
    assert rights.split()[1] == CONTAINERS_RIGHTS
    (host.bottle.root / "run/theirs.tar").write_bytes(archive())
    host.docker("-H", SOCKET, "import", "/run/theirs.tar", "theirs:1")
    ran = host.docker(
        "-H", SOCKET, "run", "--rm", "--network", "shop", "theirs:1", "/bin/busybox", "ls", "-ln", "/home/theirs"
    )
    assert ran.stdout.split()[:4] == ["-rwsr-x---", "1", "1000", "1000"]


def test_it_is_what_compose_understands(host: ComposeHost) -> None:
    host.docker("compose", "config", "-q", env=SECRETS)


def test_it_does_what_it_is_for_and_containers_outlive_its_parts(host: ComposeHost) -> None:
    use(host)
    before = fetched(host, 8080)
    up(host, "--force-recreate")
    assert fetched(host, 8080) == before, "the container goes on"
    story(host, "look")
    host.reboot()
    story(host, "waits")
    assert fetched(host, 8080) == before, "its restart policy brings it back"
    story(host, "end")
    assert host.docker("-H", SOCKET, "ps", "-q").stdout == ""


def test_no_secret_is_in_an_environment_and_nobody_is_privileged(host: ComposeHost) -> None:
    names = host.docker("compose", "ps", "-aq", env=SECRETS).stdout.split()
    assert len(names) == 11
    for shown in json.loads(host.docker("inspect", *names).stdout):
        assert not any(secret in json.dumps(shown) for secret in SECRETS.values())
        assert not shown["HostConfig"]["Privileged"]
        assert shown["HostConfig"]["CapDrop"] == ["ALL"]
