"""A log that is followed, through the application that the web process runs."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.db import connections
from django.test import override_settings
from django.utils import timezone

from cnmweb.asgi import application
from networks import exec_client
from networks.models import Container, Host, User
from networks.services import kept
from networks.services.actor import Actor
from networks.services.tokens import create_token

pytestmark = pytest.mark.django_db(transaction=True)


def make() -> tuple[Container, str]:
    host = Host.objects.create(name="local", settings={"names": "cnm"}, heartbeat_at=timezone.now())
    user = User.objects.create_user(username="vera", password="x", role="viewer")
    secret = create_token(Actor(name="vera", role="viewer"), user, "t", "viewer")[1]
    return Container.objects.create(host=host, name="web", wanted="running", status="running", generation=1), secret


def get(path: str, query: str, secret: str) -> ApplicationCommunicator:
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"version": "3.0"},
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {secret}".encode())],
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
    }
    return ApplicationCommunicator(application, scope)


async def test_a_log_is_followed_line_by_line_and_ends_with_the_run(tmp_path: Path) -> None:
    container, secret = await sync_to_async(make)()
    folder = tmp_path / "containers" / container.pk
    folder.mkdir(parents=True)
    log = os.open(folder / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def write(text: str) -> None:
        os.write(log, f"2026-01-01T00:00:00.000000000+00:00 stdout F {text}\n".encode())

    write("before")
    write("last")
    with override_settings(STATE_DIR=tmp_path):
        followed = get("/api/v1/containers/web/logs", "follow=1&tail=1", secret)
        await followed.send_input({"type": "http.request", "body": b""})
        start = await followed.receive_output(20)
        assert start["status"] == 200
        assert (await followed.receive_output(20))["body"] == b"last\n"
        write("news")
        assert (await followed.receive_output(20))["body"] == b"news\n"
        write("farewell")
        await Container.objects.filter(pk=container.pk).aupdate(exited_run="1.0")
        rest = b""
        while (part := await followed.receive_output(20))["type"] and part.get("more_body"):
            rest += part["body"]
        assert rest == b"farewell\n"
        await followed.wait(20)
    await sync_to_async(connections.close_all)()  # those of this test's own thread
    os.close(log)


def on_another_host() -> tuple[Container, str]:
    container, secret = make()
    far = Host.objects.create(name="far", settings={"names": "cnm"}, heartbeat_at=timezone.now())
    Container.objects.filter(pk=container.pk).update(host=far)
    return container, secret


async def breaks_off(ticket: str, host: str) -> AsyncIterator[bytes]:
    """What the process of another host said before it was killed, the last object cut off."""
    said = '{"lines": [["2026-01-01T00:00:00.000000000+00:00", "stdout", "before"]], "at": "1-2"}\n'
    yield (said + said[:20]).encode()
    raise exec_client.away(host)


async def test_a_log_of_another_host_that_breaks_off_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept.exec_client, "read", breaks_off)
    _, secret = await sync_to_async(on_another_host)()
    followed = get("/api/v1/containers/web/logs", "follow=1&tail=1&host=far", secret)
    await followed.send_input({"type": "http.request", "body": b""})
    assert (await followed.receive_output(20))["status"] == 200
    said = b""
    while (part := await followed.receive_output(20)).get("more_body"):
        said += part["body"]
    first, last = said.decode().splitlines()
    assert first == "before"
    assert last.startswith("[The log is not followed any further: ")
    assert "host far" in last
    await followed.wait(20)
    await sync_to_async(connections.close_all)()


async def test_a_page_that_follows_such_a_log_hears_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept.exec_client, "read", breaks_off)
    container, _ = await sync_to_async(on_another_host)()
    row = await Container.objects.select_related("host").aget(pk=container.pk)
    user = await User.objects.aget(username="vera")
    said = [json.loads(line) async for piece in kept.log_in_batches(row, user, tail=1) for line in piece.splitlines()]
    assert [batch["at"] for batch in said] == ["1-2"], "it comes back for what followed that place"
