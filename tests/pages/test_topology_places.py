"""Where a person put rooms of the topology is kept with them, room by room."""

from __future__ import annotations

import pytest
from django.test import Client

from networks.models import User
from networks.pages.views import overview
from tests.testlib.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def tell(world: World) -> Client:
    client = Client()
    client.force_login(User.objects.create_user(username="vera", password="x", role="viewer"))
    return client


def put(client: Client, places: object, **more: object) -> int:
    return say(client, {"places": places, **more})


def say(client: Client, message: object) -> int:
    return client.post("/topology/places/", message, content_type="application/json").status_code


def kept() -> object:
    return User.objects.get(username="vera").preferences.get("topology")


def test_what_is_put_stands_beside_what_was_put_before_until_all_is_forgotten(world: World, tell: Client) -> None:
    app = world.network("app")
    assert put(tell, {app.pk: [1, 2], "group:a": [3, 4], "no-such-network": [5, 6]}) == 204
    assert put(tell, {f"{app.pk}@local": [7, 8], "group:a": [9.4, 10]}) == 204
    assert kept() == {app.pk: [1, 2], f"{app.pk}@local": [7, 8], "group:a": [9, 10]}
    assert put(tell, [1]) == put(tell, {"group:b": ["far", 0]}) == put(tell, {"group:b": [10**7, 0]}) == 400
    app.delete()
    assert put(tell, {"group:b": [0, 0]}) == 204
    assert kept() == {"group:a": [9, 10], "group:b": [0, 0]}
    assert put(tell, {}) == 204
    assert kept() == {"group:a": [9, 10], "group:b": [0, 0]}
    assert say(tell, {"forget": True}) == 204
    assert kept() is None


def test_one_message_forgets_what_was_put_before_it_and_has_what_was_put_since(tell: Client) -> None:
    put(tell, {"group:a": [1, 1], "group:b": [2, 2]})
    assert put(tell, {"group:a": ["far", 0]}, forget=True) == put(tell, {}, forget="yes") == 400
    assert say(tell, {"group:c": [3, 3]}) == say(tell, [1]) == 400
    assert kept() == {"group:a": [1, 1], "group:b": [2, 2]}
    assert put(tell, {"group:b": [3, 3]}, forget=True) == 204
    assert kept() == {"group:b": [3, 3]}


def test_of_too_many_the_last_ones_are_kept(tell: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "PLACES", 2)
    put(tell, {"group:a": [0, 0], "group:b": [0, 0]})
    put(tell, {"group:c": [1, 1], "group:a": [2, 2]})
    assert kept() == {"group:a": [2, 2], "group:c": [1, 1]}
