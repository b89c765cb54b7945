"""A form that does not prove to come from a page of ours is refused by a page of ours, which names the cause and what helps."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from networks.models import Container, User
from tests.testlib.world import World

pytestmark = pytest.mark.django_db
HOME = "http://testserver"
OLD = "The page was opened before you signed in the last time, or its cookie was deleted since. Nothing was changed."


@pytest.fixture
def browser(world: World) -> Client:
    """Somebody who is signed in, and whose requests are looked at."""
    world.container("web")
    User.objects.create_user(username="olga", password="x", role="operator")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="olga"))
    return client


def token(client: Client, path: str = "/containers/web/rename/") -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(path).content.decode())
    assert found
    return found[1]


def test_a_page_that_is_older_than_the_sign_in_is_to_be_loaded_again(browser: Client) -> None:
    old = token(browser)
    browser.cookies.pop("csrftoken")  # what a sign-in in another tab does: the next page gets another one
    token(browser)
    at = f"{HOME}/containers/web/rename/"
    answer = browser.post(
        "/containers/web/rename/", {"name": "shop", "csrfmiddlewaretoken": old}, headers={"Referer": at}
    )
    said = answer.content.decode()
    assert answer.status_code == 403
    assert answer.headers["X-Refused-Form"] == "old"
    assert answer.headers["Cache-Control"] == "no-store"
    assert OLD in said
    assert f'href="{at}"' in said, "the way back to the page"
    assert 'id="navigation"' in said, "in the frame of the console"
    assert Container.objects.get().name == "web"
    foreign = browser.post(
        "/containers/web/rename/", {"csrfmiddlewaretoken": old}, headers={"Referer": "http://evil.example/"}
    )
    assert "evil.example" not in foreign.content.decode()


def test_who_is_signed_out_gets_the_page_to_sign_in_that_says_why(browser: Client) -> None:
    old = token(browser)
    browser.logout()
    browser.get("/sign-in/")
    answer = browser.post(
        "/containers/web/rename/",
        {"name": "shop", "csrfmiddlewaretoken": old},
        headers={"Referer": f"{HOME}/containers/web/rename/"},
    )
    said = answer.content.decode()
    assert answer.status_code == 403
    assert answer.headers["X-Refused-Form"] == "signed-out"
    assert "You are not signed in any more. Nothing was changed. Sign in again, then do it once more." in said
    fields = dict(re.findall(r'name="(csrfmiddlewaretoken|next)" value="([^"]*)"', said))
    assert 'action="/sign-in/"' in said
    back = browser.post("/sign-in/", {"username": "olga", "password": "x", **fields})
    assert (back.status_code, back["Location"]) == (302, f"{HOME}/containers/web/rename/")


def test_a_form_from_elsewhere_and_one_without_a_cookie_say_so(browser: Client) -> None:
    field = {"csrfmiddlewaretoken": token(browser)}
    elsewhere = browser.post("/containers/web/rename/", field, headers={"Origin": "http://evil.example"})
    assert elsewhere.status_code == 403
    told = re.search(
        r'<div class="empty-state">.*?<p>([^<]*)</p><p[^>]*>([^<]*)</p>', elsewhere.content.decode(), re.DOTALL
    )
    assert told, "where scripts of the page look for what it says"
    assert "does not know as its own" in told[1]
    assert "CNM_TRUSTED_ORIGINS" in told[2]
    assert elsewhere.headers["X-Refused-Form"] == "elsewhere"
    bare = Client(enforce_csrf_checks=True).post("/sign-in/", {"username": "olga", "password": "x"})
    assert bare.status_code == 403
    assert "Allow cookies for this console" in bare.content.decode()


def test_who_is_signed_in_and_lost_the_cookie_of_the_page_is_told_to_load_it_again(browser: Client) -> None:
    field = {"csrfmiddlewaretoken": token(browser), "name": "shop"}
    browser.cookies.pop("csrftoken")
    answer = browser.post("/containers/web/rename/", field, headers={"Referer": f"{HOME}/containers/web/rename/"})
    said = answer.content.decode()
    assert answer.headers["X-Refused-Form"] == "old", "a script takes the new token, and goes on"
    assert OLD in said
    assert "Load the page again, then do it once more." in said
    assert "sent no cookie" not in said
    assert "csrftoken" in answer.cookies or "csrftoken" in browser.get("/containers/").cookies


def test_an_old_page_to_sign_in_says_what_it_is_and_leads_on_whom_another_tab_signed_in(browser: Client) -> None:
    browser.logout()
    old = {
        "csrfmiddlewaretoken": token(browser, "/sign-in/"),
        "next": "/containers/",
        "username": "olga",
        "password": "x",
    }
    browser.cookies.pop("csrftoken")
    token(browser, "/sign-in/")
    refused = browser.post("/sign-in/", old)
    said = refused.content.decode()
    assert (refused.status_code, refused.headers["X-Refused-Form"]) == (403, "old-sign-in")
    assert "This page to sign in was an old one, so nobody was signed in. Sign in here." in said
    assert "not signed in any more" not in said
    fields = dict(re.findall(r'name="(csrfmiddlewaretoken|next)" value="([^"]*)"', said))
    assert browser.post("/sign-in/", {**old, **fields}).status_code == 302
    late = browser.post("/sign-in/", old)
    assert (late.status_code, late["Location"]) == (302, "/containers/"), "they are signed in"


@pytest.mark.parametrize(
    ("before", "back"),
    [
        ("/containers/web/do/stop/", "/containers/"),
        ("/@local/containers/bulk/", "/@local/containers/"),
        ("/drift/look/?x=1", "/drift/"),
        ("/sign-out/", "/"),
        ("/captures/x/stop/", "/"),
        ("/no/such/page/", "/no/such/page/"),
        ("/@local/containers/?q=web", "/@local/containers/?q=web"),
    ],
)
def test_nobody_is_led_to_an_address_that_is_only_posted_to(browser: Client, before: str, back: str) -> None:
    refused = browser.post("/containers/web/rename/", {}, headers={"Referer": HOME + before}).content.decode()
    again = re.search(r'<a class="btn btn-primary" href="([^"]*)">', refused)
    assert again
    assert again[1].removeprefix(HOME) == back
    fields = {"csrfmiddlewaretoken": token(browser), "theme": "dark", "next": before}
    assert browser.post("/settings/look/", fields)["Location"] == back
    browser.logout()
    page = browser.get("/sign-in/", {"next": before}).content.decode()
    assert f'name="next" value="{back}"' in page


def test_it_is_said_in_the_language_of_the_person(browser: Client) -> None:
    answer = browser.post("/containers/web/rename/", {}, headers={"Accept-Language": "zh-Hans"})
    assert answer.status_code == 403
    assert "没有改动任何内容" in answer.content.decode()


def test_the_api_says_it_too(browser: Client) -> None:
    token(browser)
    answer = browser.post("/api/v1/containers/web/stop", data="{}", content_type="application/json")
    told = answer.json()
    assert (answer.status_code, told["code"]) == (403, "permission_denied")
    assert told["detail"] == OLD
    assert told["remedy"] == "Load the page again, then do it once more."
