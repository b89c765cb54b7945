"""REST clients of three people, over the real URL configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from networks.models import User
from networks.services.actor import Actor
from networks.services.tokens import create_token
from tests.testlib.world import World


class Rest:
    """A bearer of a token of one role."""

    def __init__(self, role: str) -> None:
        self.user = User.objects.create_user(username=f"user-{role}", password="x", role=role)
        secret = create_token(Actor(name=self.user.username, role=role), self.user, "t", role)[1]
        self.client = Client(headers={"Authorization": f"Bearer {secret}"})

    def __call__(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        query = "?" + "&".join(f"{name}={value}" for name, value in params.items()) if params else ""
        data = "" if body is None else body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.generic(method, f"/api/v1/{path}{query}", data, content_type="application/json")


@pytest.fixture
def rest(world: World) -> Callable[[str], Rest]:
    made: dict[str, Rest] = {}

    def person(role: str) -> Rest:
        if role not in made:
            made[role] = Rest(role)
        return made[role]

    return person
