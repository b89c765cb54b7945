"""The page of the desired state: the file as it is, its plan, its application; refusals with path and line; a Compose file."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from networks.models import Container, Network, Operation, User
from tests.testlib.world import World

FILE = (
    "networks:\n  app: {}\ncontainers:\n  web:\n    command: [sleep, '9']\n    network: app\n    ports: ['8080:80']\n"
)
URL = "/desired-state/"


def client(role: str) -> Client:
    made = Client()
    made.force_login(User.objects.create_user(username=role, password="x", role=role))
    return made


@pytest.fixture
def page(world: World) -> Client:
    return client("operator")


def digest(text: str) -> str:
    found = re.search(r'name="plan" value="([^"]+)"', text)
    assert found is not None, text
    return found[1]


def shown(page: Client, status: int = 200, **fields: Any) -> str:
    answer = page.post(URL, {"step": "preview", **fields})
    assert answer.status_code == status, answer.content
    return str(answer.content.decode())


def test_the_file_is_shown_and_downloaded_by_whoever_may_look(world: World) -> None:
    world.network("app")
    world.container("web", network="app")
    viewer = client("viewer")
    assert "command:" in viewer.get(URL).content.decode()
    file = viewer.get(f"{URL}download/")
    assert file["Content-Disposition"] == 'attachment; filename="local.yaml"'
    assert yaml.safe_load(file.content)["containers"]["web"]["network"] == "app"
    assert viewer.post(URL, {"text": FILE}).status_code == 403


def test_the_plan_comes_first_and_then_one_operation_to_follow(world: World, page: Client) -> None:
    text = shown(page, text=FILE)
    for word in ("web", "is made", "--dport 8080", "br-…"):
        assert word in text
    assert not Operation.objects.exists()
    answer = page.post(URL, {"step": "create", "text": FILE, "plan": "other"})
    assert "The plan has changed" in answer.content.decode()
    assert not Operation.objects.exists()
    answer = page.post(URL, {"step": "create", "text": FILE, "plan": digest(text)})
    assert (answer.status_code, answer["Location"]) == (302, "/operations/1/")
    world.work()
    assert Container.objects.get().status == "running"
    again = shown(page, text=FILE)
    assert "there is nothing to do" in again
    assert 'value="create"' not in again


def test_what_the_file_does_not_name_goes_only_when_that_is_ticked(world: World, page: Client) -> None:
    world.network("other")
    assert "Left alone" in shown(page, text="version: 1\n")
    text = shown(page, text="version: 1\n", prune="on")
    assert "is removed" in text
    page.post(URL, {"step": "create", "text": "version: 1\n", "prune": "on", "plan": digest(text)})
    world.work()
    assert not Network.objects.filter(name="other").exists()


def test_a_refusal_names_path_and_line_and_keeps_what_was_typed(page: Client) -> None:
    text = shown(page, 400, text=FILE.replace("8080:80", "8080:x"))
    assert "containers.web.ports.0" in text
    assert 'data-to-line="7"' in text
    assert "8080:x" in text
    assert "No plan yet." in text
    assert "line 1" in shown(page, 400, text="a: b: c")


def test_a_file_that_is_chosen_stands_in_the_place_of_the_text(world: World, page: Client) -> None:
    text = shown(page, text="version: 1\n", text_file=SimpleUploadedFile("host.yaml", FILE.encode()))
    assert "--dport 8080" in text
    assert "8080:80" in re.split(r"<textarea[^>]*name=\"text\"", text)[1]


def test_a_compose_file_is_imported_with_its_plan_and_what_is_left_out(world: World, page: Client) -> None:
    compose = "services: {web: {image: host, command: 'sleep $TIME', ports: ['8080:80'], healthcheck: {}}}"
    text = shown(page, step="import", text="version: 1\n", compose=compose, variables="TIME=7")
    assert "1 thing is not taken over" in text
    assert "services.web.healthcheck" in text
    assert "--dport 8080" in text
    assert not Container.objects.exists()
    refused = shown(page, 400, step="import", text=FILE, compose="services: {web: {}}")
    assert "services.web.image" in refused
    assert "No plan yet." in refused
