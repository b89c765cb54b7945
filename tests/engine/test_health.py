"""Health checks, with the real command and the real Compose."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import Any

import pytest

from tests.engine.composing import V2, Compose
from tests.engine.conftest import Docker

pytestmark = pytest.mark.kernel
FAST = ["--health-interval", "200ms", "--health-retries", "2"]
PATIENT = ["--health-timeout", "30s"]
"""A probe that is only slow has not failed: on a busy machine one may take a second."""


def health(cli: Docker, name: str) -> Any:
    return cli.inspected("container", name)["State"]["Health"]


def test_a_container_is_probed_and_shown_as_it_is(cli: Docker) -> None:
    before = str(time.time())
    cli.said(
        "run",
        "-d",
        "--name",
        "web",
        "--health-cmd",
        "echo looked; test -e /tmp/well",
        *FAST,
        *PATIENT,
        "host",
        "sleep",
        "1000",
    )
    assert health(cli, "web")["Status"] in {"starting", "unhealthy"}
    assert cli.until(lambda: health(cli, "web")["Status"] == "unhealthy")
    last = health(cli, "web")["Log"][-1]
    assert (last["ExitCode"], last["Output"]) == (1, "looked\n")
    assert "(unhealthy)" in cli.said("ps", "--format", "{{.Status}}")
    cli.said("exec", "web", "touch", "/tmp/well")
    assert cli.until(lambda: health(cli, "web")["Status"] == "healthy")
    assert health(cli, "web")["FailingStreak"] == 0
    assert cli.said("ps", "--filter", "health=healthy", "--format", "{{.Names}}") == "web"
    assert cli.said("ps", "--filter", "health=none", "--format", "{{.Names}}") == ""
    words = ["events", "--since", before, "--until", str(time.time()), "--filter", "event=health_status"]
    said = cli.said(*words, "--format", "{{.Action}}").splitlines()
    assert said == ["health_status: unhealthy", "health_status: healthy"]
    check = cli.inspected("container", "web")["Config"]["Healthcheck"]
    assert (check["Test"], check["Interval"]) == (["CMD-SHELL", "echo looked; test -e /tmp/well"], 200_000_000)
    assert cli.get("containers/web")["health"] == "healthy"
    cli.said("restart", "-t", "0", "web")
    assert health(cli, "web")["Log"] is not None


def test_what_hangs_or_is_not_there_is_unhealthy_and_no_check_is_none(cli: Docker) -> None:
    cli.said(
        "run",
        "-d",
        "--name",
        "hangs",
        *FAST,
        "--health-timeout",
        "300ms",
        "--health-cmd",
        "sleep 60",
        "host",
        "sleep",
        "1000",
    )
    body = {
        "Image": "host",
        "Cmd": ["sleep", "1000"],
        "Healthcheck": {"Test": ["CMD", "/no/such"], "Interval": 10**8, "Retries": 1},
    }
    cli.speak("POST", "/v1.41/containers/create", body, name="lacks")
    cli.said("start", "lacks")
    assert cli.until(lambda: health(cli, "hangs")["Status"] == "unhealthy")
    assert health(cli, "hangs")["Log"][-1]["Output"] == "Health check exceeded timeout (0.3s)"
    assert cli.until(lambda: health(cli, "lacks")["Status"] == "unhealthy")
    assert cli.until(lambda: len(health(cli, "hangs")["Log"]) == 5)
    assert cli.said("top", "hangs").count("sleep 60") <= 2, (
        "what took too long is ended, with what it began: a shell and its child"
    )
    cli.said("run", "-d", "--name", "none", "--no-healthcheck", "host", "sleep", "1000")
    assert "Health" not in cli.inspected("container", "none")["State"]
    refused = cli.docker("create", "--health-cmd", "true", "--health-interval", "1us", "host", "true", code=None)
    assert refused.returncode
    assert "cannot be less than 1ms" in refused.stderr


def test_what_is_known_outlives_the_process_that_asks(cli: Docker) -> None:
    body = {
        "Image": "host",
        "Cmd": ["sleep", "1000"],
        "Healthcheck": {
            "Test": ["CMD", "true"],
            "Interval": 3600 * 10**9,
            "StartPeriod": 3600 * 10**9,
            "StartInterval": 10**8,
        },
    }
    cli.speak("POST", "/v1.44/containers/create", body, name="web")
    cli.said("start", "web")
    assert cli.until(lambda: health(cli, "web")["Status"] == "healthy")
    known = health(cli, "web")
    cli.product.restart("sessions")
    cli.product.restart("kernel")
    assert cli.until(lambda: cli.docker("exec", "web", "true", code=None).returncode == 0)
    assert health(cli, "web") == known, "and it is not asked again before its time"


def save_with_health_check() -> None:
    """Runs inside: what ``docker save`` makes of an image with a HEALTHCHECK."""
    import io
    import tarfile

    blob = io.BytesIO()
    with tarfile.open(fileobj=blob, mode="w") as layer:
        folder = tarfile.TarInfo("srv")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        layer.addfile(folder)
    digest = hashlib.sha256(blob.getvalue()).hexdigest()
    check = {"Test": ["CMD", "/no/such"], "Interval": 10**8, "Retries": 1}
    config = {
        "architecture": os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64"),
        "os": "linux",
        "config": {"Cmd": ["/sleep"], "Healthcheck": check},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "x"}],
        "created": "2026-01-01T00:00:00Z",
    }
    manifest = [{"Config": "config.json", "RepoTags": ["probed:1"], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open("/run/probed.tar", "w") as archive:
        for name, data in (
            ("config.json", json.dumps(config).encode()),
            (f"{digest}/layer.tar", blob.getvalue()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_what_an_image_says_of_health_is_the_default(cli: Docker) -> None:
    cli.bottle.python(save_with_health_check)
    cli.said("load", "-i", "/run/probed.tar")

    def check(*words: str) -> Any:
        cli.said("create", "--name", "web", *words, "probed:1")
        shown = cli.inspected("container", "web")["Config"].get("Healthcheck")
        cli.said("rm", "web")
        return shown

    image = {"Test": ["CMD", "/no/such"], "Interval": 10**8, "Retries": 1}
    assert cli.inspected("image", "probed:1")["Config"]["Healthcheck"] == image
    assert check() == image
    assert check("--health-retries", "7") == {**image, "Retries": 7}
    assert check("--health-cmd", "true") == {**image, "Test": ["CMD-SHELL", "true"]}
    assert not check("--no-healthcheck")
    before = cli.inspected("image", "probed:1")["Id"]
    cli.said("load", "-i", "/run/probed.tar")
    assert cli.inspected("image", "probed:1")["Id"] == before
    cli.said("rmi", "probed:1")


COMPOSE = """
services:
  db:
    image: host
    command: sh -c 'sleep 1; touch /tmp/ready; sleep 1000'
    stop_grace_period: 0s
    healthcheck: {test: ["CMD", "test", "-e", "/tmp/ready"], interval: 200ms, retries: 50}
  web:
    image: host
    command: sleep 1000
    stop_grace_period: 0s
    depends_on: {db: {condition: service_healthy}}
"""


def test_compose_waits_for_what_is_healthy(cli: Docker) -> None:
    compose = Compose(cli, V2, COMPOSE)
    compose("up", "-d")
    assert health(cli, compose.name("db"))["Status"] == "healthy"
    assert cli.state(compose.name("web")) == "running"
    listed = [json.loads(line) for line in compose("ps", "--format", "json").splitlines()]
    assert {item["Service"]: item["Health"] for item in listed} == {"db": "healthy", "web": ""}
    compose("down")
