"""docker-py's clients, containers, networks and images, each in the ways that programs use them."""

from __future__ import annotations

from typing import Any

import pytest

from networks.engine.versions import MOST, spelled
from tests.testlib.product import DOCKER_SOCKET

from .conftest import Docker

pytestmark = pytest.mark.kernel
NEGOTIATED = [f"1.{minor}" for minor in range(41, MOST[1] + 1)]


def containers() -> dict[str, Any]:
    """Runs inside."""
    import docker

    client = docker.DockerClient(base_url=f"unix://{DOCKER_SOCKET}", version="auto")
    lan = client.networks.create("lan", labels={"team": "blue"}, attachable=True)
    way = {"lan": client.api.create_endpoint_config(aliases=["www"])}
    web = client.containers.create(
        "host",
        ["sh", "-c", "echo out; echo err >&2; sleep 100"],
        name="web",
        network="lan",
        networking_config=way,
        environment={"COLOUR": "green"},
        labels={"team": "blue"},
    )
    web.start()
    web.reload()
    lan.reload()
    found: dict[str, Any] = {
        "version": client.api.api_version,
        "aliases": web.attrs["NetworkSettings"]["Networks"]["lan"]["Aliases"],
        "members": [item.name for item in lan.containers],
        "networks": [item.name for item in client.networks.list(filters={"label": "team=blue"}, greedy=True)],
        "listed": [item.id == web.id for item in client.containers.list(filters={"network": "lan"}, sparse=True)],
        "first": next(iter(web.logs(stream=True, follow=True))).decode(),
        "attached": b"".join(web.attach(logs=True, stream=False).splitlines(keepends=True)).decode(),
        "titles": web.top(ps_args="aux")["Titles"][:2],
        "stats": next(web.stats(decode=True))["name"],
        "streamed": b"".join(web.exec_run(["seq", "3"], stream=True).output).decode(),
        "inside": web.exec_run(["sh", "-c", "echo $Q; pwd"], environment={"Q": "q"}, workdir="/tmp").output.decode(),
        "terminal": web.exec_run("tty", tty=True).output.decode(),
        "echoed": _echoed(web),
    }
    web.rename("site")
    web.stop(timeout=0)
    web.start()
    web.kill()
    web.update(restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
    web.reload()
    found["state"] = (web.name, web.status, web.attrs["HostConfig"]["RestartPolicy"])
    web.remove()
    client.close()
    return found


def _echoed(container: Any) -> str:
    """What a command says to what is typed on its socket."""
    import socket

    _, stream = container.exec_run("cat", stdin=True, socket=True)
    stream._sock.sendall(b"typed")
    stream._sock.shutdown(socket.SHUT_WR)
    said = b""
    while data := stream._sock.recv(4096):
        said += data
    stream.close()
    return said[8:].decode()


def images() -> dict[str, Any]:
    """Runs inside."""
    import io
    import tarfile

    import docker

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    client = docker.DockerClient(base_url=f"unix://{DOCKER_SOCKET}", version="auto")
    client.api.import_image_from_data(archive.getvalue(), repository="base", tag="1")
    image = client.images.get("base:1")
    found: dict[str, Any] = {
        "tagged": image.tag("other", "2"),
        "tags": sorted(client.images.get("other:2").tags),
        "listed": [item.tags for item in client.images.list(name="other")],
        "history": image.history()[0]["Id"] == image.id,
        "refused": [],
    }
    client.images.remove("other:2")
    client.images.remove("base:1")
    found["left"] = [item.tags for item in client.images.list()]
    for wrong in (
        lambda: client.images.build(fileobj=io.BytesIO(b"FROM host")),
        client.nodes.list,
        lambda: client.login("user", "secret"),
    ):
        try:
            wrong()
        except docker.errors.APIError as error:
            found["refused"].append(error.explanation)
    client.close()
    return found


def versions(wanted: list[str]) -> list[Any]:
    """Runs inside: what each version of the API makes of one container."""
    import docker

    found = []
    for version in wanted:
        client = docker.DockerClient(base_url=f"unix://{DOCKER_SOCKET}", version=version)
        try:
            row = client.containers.run("host", "sleep 9", name="v", detach=True, network_mode="bridge")
            said = row.exec_run("echo x").output.decode()
            found.append([version, row.status, said, client.version()["ApiVersion"], len(client.networks.list())])
            row.remove(force=True)
        except docker.errors.APIError as error:
            found.append([version, error.explanation])
        client.close()
    return found


def test_containers_and_networks(cli: Docker) -> None:
    found = cli.bottle.python(containers)
    assert found["version"] == spelled(MOST)
    assert (found["aliases"], found["members"], found["listed"]) == (["www"], ["web"], [True])
    assert found["networks"] == ["lan"]
    assert (found["first"], found["attached"]) == ("out\n", "out\nerr\n")
    assert (found["titles"], found["stats"]) == (["USER", "PID"], "/web")
    assert (found["streamed"], found["inside"]) == ("1\n2\n3\n", "q\n/tmp\n")
    assert found["terminal"].startswith("/dev/pts/")
    assert found["echoed"] == "typed"
    assert found["state"] == ["site", "exited", {"Name": "on-failure", "MaximumRetryCount": 2}]


def test_images(cli: Docker) -> None:
    found = cli.bottle.python(images)
    assert found["tagged"]
    assert found["tags"] == ["base:1", "other:2"]
    assert found["listed"] == [["base:1", "other:2"]]
    assert found["history"]
    assert found["left"] == [["host:latest"]]
    assert len(found["refused"]) == 3
    assert all("is not supported by CNM Web's Docker API" in said for said in found["refused"])


@pytest.mark.long
def test_every_version_since_docker_20_10s_is_spoken(cli: Docker) -> None:
    *spoken, beyond = cli.bottle.python(versions, [*NEGOTIATED, "1.99"])
    assert spoken == [[version, "created", "x\n", spelled(MOST), 3] for version in NEGOTIATED]
    assert beyond[1] == f"client version 1.99 is too new. Maximum supported API version is {spelled(MOST)}"
