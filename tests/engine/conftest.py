"""The product with its Docker API, and the real ``docker`` command to speak to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.engine.sources import PORT, make_sources
from tests.product.conftest import Console
from tests.testlib.bottle import REPOSITORY
from tests.testlib.product import DOCKER_SOCKET, Product


class Docker(Console):
    """Docker's own command line against CNM Web, beside its REST API."""

    def docker(
        self, *words: str, code: int | None = 0, input: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """``docker WORDS``; fails the test unless it exits with *code* (None: whatever comes)."""
        command = ["docker", "-H", f"unix://{DOCKER_SOCKET}", *words]
        done = self.bottle.run(command, check=False, input=input, timeout=timeout, env={"HOME": "/run/docker-home"})
        if code is not None and done.returncode != code:
            raise AssertionError(
                f"docker {' '.join(words)} gave {done.returncode}, not {code}.\n{done.stdout}{done.stderr}\n"
                + self.product.logs()
            )
        return done

    def said(self, *words: str, **options: Any) -> str:
        """What ``docker WORDS`` printed, without the line end."""
        return self.docker(*words, **options).stdout.rstrip("\n")

    def refused(self, *words: str, code: int = 1) -> str:
        """The error that ``docker WORDS`` ended with."""
        return self.docker(*words, code=code).stderr.strip()

    def speak(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """A request as some client sends it that is not installed here; its answer."""
        text = self.streamed(method, path, body, **params)
        return json.loads(text) if text else None

    def streamed(self, method: str, path: str, body: Any = None, **params: Any) -> str:
        """The same; the whole text of its answer."""
        transport = httpx.HTTPTransport(uds=str(self.bottle.root) + DOCKER_SOCKET)
        with httpx.Client(transport=transport, base_url="http://docker", timeout=60) as client:
            answer = client.request(method, path, json=body, params=params)
        assert answer.status_code < 300, answer.text
        return answer.text

    def inspected(self, kind: str, name: str) -> Any:
        return json.loads(self.said(kind, "inspect", name))[0]


@pytest.fixture(scope="package")
def engine() -> Iterator[Docker]:
    """One product for all modules that a process runs one after the other."""
    with Product() as product:
        product.serve_engine()
        yield Docker(product)


@pytest.fixture
def cli(engine: Docker) -> Iterator[Docker]:
    """With nothing left of the test before."""
    yield engine
    engine.tidy()


@pytest.fixture(scope="module")
def registry(engine: Docker) -> Iterator[None]:
    engine.bottle.python(make_sources)
    serve = [sys.executable, "-m", "tests.testlib.registry", "/run/layout", str(PORT)]
    server = engine.bottle.popen(serve, env={"PYTHONPATH": str(REPOSITORY)})
    assert engine.until(lambda: f":{PORT} " in engine.bottle.run(["ss", "-Hltn"]).stdout)
    yield
    server.kill()
