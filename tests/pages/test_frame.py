"""The frame of every page: from which place of the feed on it wants to hear."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from networks.models import User
from tests.testlib.world import World


@pytest.mark.parametrize(
    ("path", "table"),
    [("/images/", "networks_image"), ("/networks/", "networks_network"), ("/containers/web/", "networks_container")],
)
def test_the_place_in_the_feed_is_older_than_what_the_page_shows(world: World, path: str, table: str) -> None:
    """A change that falls between the two is told once too often, and not never."""
    world.container()
    page = Client()
    page.force_login(User.objects.create_user(username="vera", password="x", role="viewer"))
    with CaptureQueriesContext(
        connection,
    ) as captured:
        page.get(path)
    asked = [query["sql"] for query in captured]
    place = next(number for number, sql in enumerate(asked) if 'FROM "networks_feedcounter"' in sql)
    shown = next(number for number, sql in enumerate(asked) if f'FROM "{table}"' in sql)
    assert place < shown
