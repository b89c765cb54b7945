"""The real Compose, in both of its generations, against CNM Web."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.testlib.bottle import REPOSITORY
from tests.testlib.product import DOCKER_SOCKET

from .conftest import Docker

V1, V2 = "docker-compose", "docker compose"
_FOLDER = "/run/shop"
PLUGIN = REPOSITORY / "var/compose-v2/usr/libexec/docker/cli-plugins/docker-compose"
"""Version 2 where the host's own packages have none."""
_ENV = {
    "HOME": "/run/docker-home",
    "DOCKER_HOST": f"unix://{DOCKER_SOCKET}",
    "COMPOSE_PROJECT_NAME": "shop",
    "COLUMNS": "300",  # version 1 breaks its table wherever its longest words fall
}


def installed() -> list[Any]:
    """What there is of Compose here: version 1, a program in Python that takes a second for each command, is no more in Debian 13."""
    program = Path("/usr/bin/docker-compose")
    first = program.is_file() and program.read_bytes()[:2] == b"#!"
    return [V2, *([pytest.param(V1, marks=pytest.mark.long)] if first else [])]


class Compose:
    """One Compose with one file, in the throw-away host."""

    def __init__(self, cli: Docker, command: str, file: str) -> None:
        self.cli = cli
        self.separator = "-" if command == V2 else "_"
        self._command = command.split()
        cli.bottle.run(["mkdir", "-p", _FOLDER, "/run/docker-home/.docker/cli-plugins"])
        if PLUGIN.exists():
            cli.bottle.run(["ln", "-sfn", PLUGIN, "/run/docker-home/.docker/cli-plugins/docker-compose"])
        self.write(file)

    def write(self, file: str) -> None:
        self.cli.bottle.run(["tee", f"{_FOLDER}/docker-compose.yml"], input=file)

    def name(self, service: str, number: int = 1) -> str:
        """What it calls the container of a service."""
        return self.separator.join(("shop", service, str(number)))

    def __call__(self, *words: str, code: int = 0, input: str | None = None) -> str:
        """What ``WORDS`` printed; fails the test unless it exits with *code*."""
        done = self.cli.bottle.run(self._line(words), check=False, env=_ENV, timeout=90, input=input)
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{' '.join(words)} gave {done.returncode}\n{said}\n{self.cli.product.logs()}"
        return said

    def started(self, *words: str) -> subprocess.Popen[Any]:
        """``WORDS`` under way, what it says going to a pipe."""
        return self.cli.bottle.popen(self._line(words), env=_ENV, stderr=subprocess.STDOUT)

    def _line(self, words: tuple[str, ...]) -> list[str]:
        # Version 1 looks for the file where it is, version 2 also by its flag.
        return ["env", "-C", _FOLDER, *self._command, *words]
