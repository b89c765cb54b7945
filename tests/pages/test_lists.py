"""Every list of the console alike: search, filters and order in the address, pages, and columns that are kept for the person."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from networks.models import Activity, Network, Operation, User
from networks.pages import listing as lists
from networks.pages.views.account import LISTS
from networks.services.actor import Actor
from networks.services.tokens import create_token
from tests.testlib.world import World

SORTS = {
    "networks": ("name", "driver", "state", "created", "endpoints"),
    "containers": ("name", "image", "state", "created"),
    "images": ("name", "size", "created"),
    "links": ("recipient", "source", "alias"),
    "operations": ("number", "what", "state", "who"),
    "activity": ("at", "who", "what", "via"),
    "tokens": ("name", "user", "used", "ends"),
    "users": ("name", "role", "login"),
}
FILTERS = {
    "networks": {"driver": "host", "state": "failed"},
    "containers": {"state": "exited", "network": "app"},
    "images": {"state": "failed"},
    "links": {},
    "operations": {"state": "failed", "verb": "container.run"},
    "activity": {"actor": "nobody", "via": "page"},
    "tokens": {"role": "admin"},
    "users": {"role": "operator"},
}


@pytest.fixture
def person(world: World) -> User:
    world.network("app")
    world.network("other")
    world.container("web", network="app")
    world.container("db")
    world.container("linked", links=["db:store"])
    person = User.objects.create_user(username="anna", password="x", role="admin")
    for name in ("nightly", "deploy"):
        create_token(Actor(name="anna", role="admin"), person, name, "viewer")
    User.objects.create_user(username="vera", password="x", role="viewer")
    return person


@pytest.fixture
def page(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def rows(page: Client, name: str, query: str = "") -> list[str]:
    """The rows of a list, without what differs each time that it is asked for."""
    text = page.get(f"{reverse(name)}{query}").content.decode().partition('id="list"')[2]
    text = re.sub(r"<time.*?</time>|<input type=\"hidden\"[^>]*>", "", text)
    return re.findall(r"<tr(?: |>)(?!<th scope=\"col\").*?</tr>", text.partition("<tbody>")[2], re.DOTALL)


def test_every_list_is_looked_at_here() -> None:
    assert set(SORTS) == set(FILTERS) == set(LISTS)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_searched_filtered_sorted_and_cut_into_pages(
    page: Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = rows(page, name)
    assert everything
    assert rows(page, name, "?q=no-such-thing-at-all") == []
    assert "Clear search and filters" in page.get(f"{reverse(name)}?q=no-such-thing-at-all").content.decode()
    for key, value in FILTERS[name].items():
        assert len(rows(page, name, f"?{key}={value}")) < len(everything), key
    for sort in SORTS[name]:
        up, down = rows(page, name, f"?sort={sort}"), rows(page, name, f"?sort=-{sort}")
        assert sorted(up) == sorted(down) == sorted(everything)
        assert 'aria-sort="descending"' in page.get(f"{reverse(name)}?sort=-{sort}").content.decode()
        if sort in ("name", "number", "at"):
            assert up == down[::-1]
    monkeypatch.setattr(lists, "PAGE_SIZE", 1)
    assert rows(page, name) == everything[:1]
    if len(everything) > 1:
        assert rows(page, name, "?page=2") == everything[1:2]
        assert 'rel="next"' in page.get(reverse(name)).content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_columns_are_chosen_and_kept_for_the_person(page: Client, person: User, name: str) -> None:
    shown = page.get(reverse(name)).content.decode()
    known = re.findall(r'name="column" value="(\w+)"', shown)
    assert len(known) >= 2
    heads = len(re.findall(r"<th scope=\"col\"", shown))
    answer = page.post(
        reverse("columns"),
        {"list": name, "column": known, "show": known[1:]},
        headers={"Referer": f"http://testserver{reverse(name)}?q=a"},
    )
    assert answer.headers["Location"].endswith(f"{reverse(name)}?q=a")
    elsewhere = Client()
    elsewhere.force_login(User.objects.get(pk=person.pk))
    after = elsewhere.get(reverse(name)).content.decode()
    assert len(re.findall(r"<th scope=\"col\"", after)) == heads - 1
    assert re.search(rf'name="show" value="{known[0]}">', after), "its box is empty"
    cells = {row.count("<td") + row.count("<th") for row in rows(elsewhere, name)}
    assert cells == {heads - 1}, "heads and cells go together"


def test_no_other_list_and_no_other_site_is_remembered(page: Client, person: User) -> None:
    body = {"list": "passwords", "column": ["a"], "show": []}
    answer = page.post(reverse("columns"), body, headers={"Referer": "http://elsewhere.example/networks/"})
    assert answer.headers["Location"] == "/"
    person.refresh_from_db()
    assert person.preferences == {}


def test_picked_networks_are_removed_together_after_the_plan(page: Client) -> None:
    picked = list(Network.objects.filter(name="other").values_list("pk", flat=True))
    before = Operation.objects.count()
    shown = page.post(reverse("networks-bulk"), {"pick": picked}).content.decode()
    assert "Remove 1 network" in shown
    assert Operation.objects.count() == before
    digest = re.search(r'name="plan" value="([^"]+)"', shown)
    assert digest is not None
    assert page.post(reverse("networks-bulk"), {"pick": picked, "plan": digest[1]}).status_code == 302
    assert Operation.objects.order_by("-number")[0].verb == "bulk.remove"
    assert Activity.objects.latest("id").request == {"networks": ["other"], "containers": []}


def test_networks_in_use_are_refused_and_nothing_goes(page: Client) -> None:
    picked = list(Network.objects.filter(name__in=["app", "other"]).values_list("pk", flat=True))
    answer = page.post(reverse("networks-bulk"), {"pick": picked})
    assert answer.status_code == 409
    assert "active endpoints: web" in answer.content.decode()
    assert page.post(reverse("networks-bulk"), {}, follow=True).content.decode().count("Pick networks first") == 1
