"""The documentation of the REST API: every call of the OpenAPI document stands in it, with a command that works."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from networks.models import User
from networks.pages.api_reference import METHODS, calls, objects
from tests.testlib.world import World

API = "http://127.0.0.1:8000/api/v1/"


@pytest.fixture(scope="module")
def document() -> dict[str, object]:
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-any-return]


def test_every_call_is_listed_and_every_object_that_one_is_made_of(document: dict[str, object]) -> None:
    paths: dict[str, dict[str, object]] = document["paths"]  # type: ignore[assignment]
    found = calls(document, API)
    assert len(found) == sum(method in item for item in paths.values() for method in METHODS) > 80
    assert len({call.key for call in found}) == len(found), "each has its own place in the page"
    described = dict(objects(document))
    types = [kind for call in found for kind in (*(reply.type for reply in call.replies), call.body or ())]
    types += [member.type for members in described.values() for member in members]
    named = {part.schema for kind in types for part in kind}
    assert named - described.keys() <= {""}


def test_a_call_can_be_typed_as_it_stands(document: dict[str, object]) -> None:
    found = {(call.method, call.path): call.curl for call in calls(document, API)}
    assert found["GET", "/api/v1/networks"] == f"curl -H \"Authorization: Bearer $TOKEN\" '{API}networks'"
    create = found["POST", "/api/v1/networks"]
    assert "-X" not in create
    assert '-d \'{"name": "…"}\'' in create
    assert found["DELETE", "/api/v1/networks/{ref}"].endswith(f"-X DELETE '{API}networks/REF'")


def test_the_page_shows_all_of_it_and_is_searched(world: World) -> None:
    client = Client()
    assert client.get("/api/docs/").status_code == 302, "it is for those who are signed in"
    client.force_login(User.objects.create_user(username="vera", password="x", role="viewer"))
    text = client.get("/api/docs/").content.decode()
    assert text.count('class="api-call" id="call-') > 80
    assert 'href="#schema-Network"' in text
    assert 'id="schema-Network"' in text
    some = client.get("/api/docs/?q=post%20capture").content.decode()
    assert re.findall(r'id="call-(\w+)"', some)
    assert set(re.findall(r'class="api-method[^>]*>(\w+)<', some)) == {"POST"}
    assert "No call matches." in client.get("/api/docs/?q=nothing-like-it").content.decode()
