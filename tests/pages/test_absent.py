"""Addresses that no page has, and pages that fail: the person reads what happened, in the person's language, and finds a way on."""

from __future__ import annotations

import pytest
from django.test import Client

from networks.models import User
from networks.pages.views import overview
from tests.testlib.world import World


@pytest.fixture
def page(world: World) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_user(username="vera", password="x", role="viewer"))
    return client


def test_an_address_of_no_page_is_answered_in_the_frame_with_ways_on(page: Client) -> None:
    answer = page.get("/nowhere/?q=<b>")
    assert answer.status_code == 404
    told = answer.content.decode()
    assert "There is no page at /nowhere/?q=%3Cb%3E." in told
    assert 'href="/">' in told
    assert 'class="console"' in told
    assert page.post("/nowhere/").status_code == 404


def test_what_comes_after_an_object_leads_to_its_list(page: Client) -> None:
    assert 'href="/networks/"' in page.get("/networks/bridge/nowhere/").content.decode()


@pytest.mark.parametrize("path", ["/nowhere/", "/favicon.ico", "/static/dist/nowhere.js"])
def test_who_is_not_signed_in_learns_no_more_than_that_it_is_not_there(world: World, path: str) -> None:
    answer = Client().get(path, headers={"Accept-Language": "zh-hans"})
    assert answer.status_code == 404
    assert "这个地址没有任何内容。" in answer.content.decode()
    assert "console" not in answer.content.decode()


def test_a_file_that_is_not_there_is_no_page(page: Client) -> None:
    answer = page.get("/static/dist/nowhere.js")
    assert answer.status_code == 404
    assert 'class="console"' not in answer.content.decode()


def test_a_page_that_fails_says_where_the_reason_is(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("only for this test")

    monkeypatch.setattr(overview, "render", fail)
    answer = page.get("/")
    assert answer.status_code == 500
    told = answer.content.decode()
    assert "the reason is in its log" in told
    assert "only for this test" not in told
    assert '<a href="/">' in told
