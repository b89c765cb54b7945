"""``docker pull``, ``load`` and a ``run`` that pulls, with the real command and a registry on the host's own loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.conftest import Docker
from tests.engine.sources import WEB

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def no_image(cli: Docker) -> Iterator[None]:
    yield
    for name in (WEB, "saved:1", "team/saved:2"):
        cli.docker("rmi", name, code=None)


def messages(cli: Docker, path: str, **params: Any) -> list[dict[str, Any]]:
    """The stream of JSON that a client makes its progress of."""
    return [json.loads(line) for line in cli.streamed("POST", path, **params).splitlines() if line.strip()]


def test_an_image_is_pulled_with_its_progress(cli: Docker, registry: None) -> None:
    said = cli.said("pull", WEB).splitlines()
    shown = cli.inspected("image", WEB)
    assert said[0] == "Using default tag: latest"
    assert "latest: Pulling from team/web" in said
    assert any("Copying blob" in line for line in said), "what is under way is told"
    assert said[-3:] == [f"Digest: {shown['Id']}", f"Status: Downloaded newer image for {WEB}:latest", f"{WEB}:latest"]
    assert cli.said("pull", "-q", WEB) == f"{WEB}:latest"
    assert cli.said("pull", WEB).splitlines()[-2] == f"Status: Image is up to date for {WEB}:latest"
    assert cli.docker("run", "--rm", WEB).stdout.startswith("from the image green")
    told = messages(cli, "/images/create", fromImage=WEB, tag="latest")
    assert all(set(item) <= {"status", "id", "progressDetail", "progress"} for item in told)
    refused = cli.refused("pull", f"{WEB}:nosuch")
    assert "manifest unknown" in refused.lower() or "not found" in refused.lower(), refused


def test_a_run_pulls_what_is_not_there(cli: Docker, registry: None) -> None:
    ran = cli.docker("run", "--rm", f"{WEB}:latest")
    assert ran.stdout.startswith("from the image green")
    assert f"Unable to find image '{WEB}:latest' locally" in ran.stderr
    assert "Status: Downloaded newer image" in ran.stderr


def test_an_archive_of_docker_save_is_loaded_under_its_names(cli: Docker, registry: None) -> None:
    assert cli.said("load", "-i", "/run/named.tar").splitlines() == [
        "Loaded image: saved:1",
        "Loaded image: team/saved:2",
    ]
    assert sorted(cli.inspected("image", "saved:1")["RepoTags"]) == ["saved:1", "team/saved:2"]
    assert cli.docker("run", "--rm", "team/saved:2").stdout.startswith("from the image green")
    assert "an image without a name is not supported" in cli.refused("load", "-i", "/run/nameless.tar")
    cli.bottle.write("/run/none.tar", "nothing")
    assert "none of docker save" in cli.refused("load", "-i", "/run/none.tar")
