"""PostgreSQL and Redis by TLS with passwords, as hosts that join speak to them: a server that nobody vouches for is refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testlib.bottle import REPOSITORY
from tests.testlib.certificates import certificate

SPEAK = """
import asyncio, django, sys
django.setup()
from channels.layers import get_channel_layer
from cnmweb.celery import app
from networks.wake import redis
redis().ping()
with app.connection_for_write() as connection:
    connection.ensure_connection(max_retries=0, timeout=3)
layer = get_channel_layer()
asyncio.run(layer.group_send("live", {"type": "feed.news", "last": 1}))
print("spoke")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path, Path]]:
    """A Redis with a certificate for 127.0.0.1: its port, that certificate, and one of somebody else."""
    folder = tmp_path_factory.mktemp("tls")
    ours, others = (certificate(folder, name, "127.0.0.1") for name in ("ours", "others"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tls = ["--tls-cert-file", ours.public, "--tls-key-file", ours.private, "--tls-auth-clients", "no"]
    words = ["redis-server", "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--requirepass", "pw"]
    with subprocess.Popen([*words, *tls, "--save", ""], stdout=subprocess.DEVNULL) as process:
        try:
            yield port, ours.public, others.public
        finally:
            process.kill()


def speak(port: int, certificate: Path, word: str = "pw") -> subprocess.CompletedProcess[str]:
    url = f"rediss://:{word}@127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    env = os.environ | {"CNM_REDIS_URL": url, "DJANGO_SETTINGS_MODULE": "cnmweb.settings"}
    command = [sys.executable, "-c", SPEAK]
    return subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_redis_is_spoken_to_by_tls_and_by_nothing_less(server: tuple[int, Path, Path]) -> None:
    port, ours, others = server
    deadline = time.monotonic() + 20
    while (done := speak(port, ours)).returncode and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "spoke" in done.stdout, done.stderr
    stranger = speak(port, others)
    assert stranger.returncode
    assert "CERTIFICATE_VERIFY_FAILED" in stranger.stderr
    assert "spoke" not in speak(port, ours, word="wrong").stdout


def test_what_libpq_is_to_do_stands_in_the_url() -> None:
    from cnmweb.settings import _database

    made = _database("postgres://cnm:p%40w@db.example:5433/cnm?sslmode=verify-full&sslrootcert=/etc/cnm/ca.pem")
    assert (made["HOST"], made["PASSWORD"]) == ("db.example", "p@w")
    asked = {"sslmode": "verify-full", "sslrootcert": "/etc/cnm/ca.pem"}
    assert asked.items() <= made["OPTIONS"].items()
    assert _database("postgres://db.example/cnm?connect_timeout=3")["OPTIONS"]["connect_timeout"] == "3"
