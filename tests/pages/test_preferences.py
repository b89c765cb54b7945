"""Language and time zone: what the browser asks for, what a person chose, and that the choice goes with the person."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from networks.models import ApiToken, User
from networks.pages import preferences
from networks.services.actor import Actor
from networks.services.tokens import create_token
from tests.testlib.world import World

CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"}


@pytest.fixture
def vera(world: World) -> User:
    return User.objects.create_user(username="vera", password="x", role="viewer")


@pytest.fixture
def page(vera: User) -> Client:
    client = Client()
    client.force_login(vera)
    return client


def text(page: Client, path: str = "/networks/", **headers: str) -> str:
    return page.get(path, headers=headers).content.decode()


def test_the_browser_s_language_is_spoken_before_anybody_signs_in(world: World) -> None:
    shown = text(Client(), "/sign-in/", **CHINESE)
    assert '<html lang="zh-hans"' in shown
    assert "密码" in shown
    assert "Password" in text(Client(), "/sign-in/", **{"Accept-Language": "fr"})


def test_a_chosen_language_is_spoken_whatever_the_browser_asks_for(page: Client, vera: User) -> None:
    assert "Create network" in text(page)
    page.post("/settings/look/", {"language": "zh-hans", "next": "/settings/"})
    elsewhere = Client()
    elsewhere.force_login(vera)
    for browser in (page, elsewhere):
        shown = text(browser, **{"Accept-Language": "en"})
        assert "创建网络" in shown
        assert '"live": "\\u5b9e\\u65f6"' in shown, "the words of the scripts"
    page.post("/settings/look/", {"language": ""})
    assert "Create network" in text(page)


def test_what_two_tabs_save_at_once_is_kept_of_both(page: Client, vera: User, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Client()
    other.force_login(vera)
    chosen, tabs = preferences._chosen, []

    def meanwhile(request: HttpRequest) -> dict[str, Any]:
        """As soon as one request knows whose it is, another tab's is answered."""
        found = chosen(request)
        while tabs:
            tabs.pop()()
        return found

    monkeypatch.setattr(preferences, "_chosen", meanwhile)

    def columns(client: Client, name: str) -> None:
        client.post("/settings/columns/", {"list": name, "column": ["state", "driver"], "show": ["state"]})

    def place(client: Client, name: str) -> None:
        client.post("/topology/places/", {"places": {name: [1, 1]}}, content_type="application/json")

    tabs.append(lambda: columns(other, "networks"))
    columns(page, "containers")
    tabs.append(lambda: place(other, "group:b"))
    place(page, "group:a")
    tabs.append(lambda: other.post("/settings/look/", {"zone": "Asia/Tokyo"}))
    page.post("/settings/look/", {"language": "zh-hans"})
    assert not tabs
    vera.refresh_from_db()
    assert vera.preferences == {
        "columns": {"networks": ["driver"], "containers": ["driver"]},
        "topology": {"group:a": [1, 1], "group:b": [1, 1]},
        "language": "zh-hans",
        "zone": "Asia/Tokyo",
    }


@pytest.mark.parametrize("wrong", ["xx", "../../en", "zh-hant"])
def test_a_language_that_there_is_not_changes_nothing(page: Client, vera: User, wrong: str) -> None:
    page.post("/settings/look/", {"language": wrong, "zone": "Mars/Olympus"})
    vera.refresh_from_db()
    assert vera.preferences == {}
    assert settings.LANGUAGE_COOKIE_NAME not in page.cookies


def test_refusals_of_the_api_speak_the_language_that_is_asked_for(vera: User) -> None:
    _token, secret = create_token(Actor(name="vera", role="viewer"), vera, "t", "viewer")
    assert ApiToken.objects.count() == 1
    api = Client(headers={"Authorization": f"Bearer {secret}"})
    path = "/api/v1/networks/no-such-thing"
    chinese = api.get(path, headers=CHINESE).json()
    assert chinese["title"] == "未找到"
    assert "no-such-thing" in chinese["detail"]
    assert chinese["detail"] != api.get(path).json()["detail"]
    assert api.get(path).json()["title"] == "Not found"


def test_times_are_shown_in_the_person_s_zone_or_the_browser_s(page: Client, world: World) -> None:
    world.network("app", labels={})
    world.host.heartbeat_at = timezone.now()
    assert " UTC" in text(page)
    page.cookies["zone"] = "Asia/Tokyo"
    assert " JST" in text(page)
    page.post("/settings/look/", {"zone": "America/New_York"})
    shown = text(page)
    assert " EST" in shown or " EDT" in shown
    assert 'data-zone="America/New_York"' in shown, "for the times that scripts write"
    page.cookies["zone"] = "../../etc/passwd"
    page.post("/settings/look/", {"zone": ""})
    assert " UTC" in text(page)


def test_numbers_are_grouped_as_the_language_does(page: Client) -> None:
    from django.contrib.humanize.templatetags.humanize import intcomma
    from django.utils import translation

    for language in ("en", "zh-hans"):
        with translation.override(language):
            assert intcomma(1234567) == "1,234,567"
