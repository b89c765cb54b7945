"""What the command palette finds, and that it offers nobody what they may not do."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from networks.models import User
from tests.testlib.world import World


@pytest.fixture
def filled(world: World) -> World:
    world.network("shop")
    world.network("spare")
    world.container("web", network="shop")
    world.container("worker")
    return world


def found(role: str, query: str = "") -> dict[str, dict[str, Any]]:
    person = User.objects.create_user(username=f"{role}{User.objects.count()}", password="x", role=role)
    client = Client()
    client.force_login(person)
    return {entry["label"]: entry for entry in client.get(reverse("palette"), {"q": query}).json()["entries"]}


@pytest.mark.parametrize(
    ("role", "has", "lacks"),
    [
        ("viewer", {"Networks", "Settings"}, {"Create network", "Run container", "Repair drift", "Users"}),
        ("operator", {"Create network", "Run container", "Repair drift"}, {"Users"}),
        ("admin", {"Create network", "Users"}, set()),
    ],
)
def test_pages_and_actions_follow_the_role(filled: World, role: str, has: set[str], lacks: set[str]) -> None:
    labels = set(found(role))
    assert has <= labels
    assert not lacks & labels


def test_objects_are_found_by_a_part_of_their_name_and_with_what_can_be_done(filled: World) -> None:
    entries = found("operator", "we")
    assert entries["web"]["url"] == "/containers/web/"
    assert entries["Stop web"] == entries["Stop web"] | {"url": "/containers/web/do/stop/", "post": True}
    assert "worker" not in entries
    assert "Start web" not in entries, "it runs"
    assert found("operator", "remove web").keys() == {"Remove web"}
    assert set(found("viewer", "web")) == {"web", "web: logs", "web: rules"}
    assert "shop" in found("viewer", "SHO")


def test_every_entry_leads_somewhere(filled: World) -> None:
    admin = Client()
    admin.force_login(User.objects.create_user(username="anna", password="x", role="admin"))
    for query in ("", "web", "spare"):
        for entry in admin.get(reverse("palette"), {"q": query}).json()["entries"]:
            if not entry["post"]:
                assert admin.get(entry["url"]).status_code == 200, entry
