"""Pages about all hosts at once, and addresses that say which host they are about."""

from __future__ import annotations

import html
import json
import re

import pytest
from django.http import HttpResponse
from django.test import Client

from networks.live.consumer import LiveConsumer
from networks.models import Activity, Container, Drift, Host, Network, Observation, Operation, User
from networks.pages import base
from networks.services import networks
from networks.services.images import ensure_host_image
from tests.api.test_audit import see
from tests.testlib.world import World

pytestmark = pytest.mark.django_db

LINK = re.compile(r'(?:href|action|formaction|hx-get|hx-post|data-[a-z-]*url)="(/[^"]*)"')
NO_HOST = re.compile(r"/(?:@|api/|static/|ws/)")


@pytest.fixture
def two(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A second host, each with the same names and one of everything that pages tell of."""
    monkeypatch.setattr(base, "WAIT_S", 0)
    row = Host.objects.create(name="two", settings={"names": "cnm"}, heartbeat_at=world.host.heartbeat_at)
    networks.ensure_defaults(row)
    ensure_host_image(row)
    made = World(row)
    for place in (world, made):
        place.container("db")
        place.container("web", links=["db:d"], ports=["8080:80"])
        Drift.objects.create(host=place.host, key="rule x", kind="missing", resource_kind="rule", text="-A x")
    see(world)
    for seen in Observation.objects.filter(host=world.host):
        Observation.objects.create(host=row, kind=seen.kind, data=seen.data, generation=seen.generation)
    return made


def page(role: str = "operator") -> Client:
    made = Client()
    made.force_login(User.objects.create_user(username=role, password="x", role=role))
    return made


def said(answer: HttpResponse) -> str:
    return answer.content.decode()


LISTS = (
    "containers", "networks", "links", "images", "operations", "activity", "drift", "files", "firewall", "firewall/exposure",
)  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_all_hosts_says_whose_each_row_is_and_leads_to_that_host(two: World, name: str) -> None:
    client = page()
    every = said(client.get(f"/@*/{name}/"))
    assert "All hosts" in every
    main = every.partition("<main")[2].partition("</main>")[0]
    assert all(re.search(rf">\s*{host}\b", main) for host in ("local", "two")), main
    if name not in {"activity", "firewall"}:  # those lead to nothing, or to themselves
        assert {found[1] for found in re.finditer(r'href="/@(local|two)/', main)} == {"local", "two"}
    of_two = said(client.get(f"/@two/{name}/")).partition("<main")[2].partition("</main>")[0]
    assert "/@local/" not in of_two
    assert "/@*/" not in of_two


@pytest.mark.parametrize("host", ["local", "two", "*"])
def test_all_that_a_page_leads_and_posts_to_is_of_the_host_in_its_address(two: World, host: str) -> None:
    client = page("admin")
    operation = Operation.objects.filter(host__name="two").first()
    assert operation is not None
    paths = [f"{name}/" for name in LISTS] + ["", "topology/", "host/", "tokens/", "users/", "settings/"]
    paths += [f"operations/{operation.number}/"]
    if host != "*":
        paths += ["containers/web/", "networks/bridge/", "containers/new/", "networks/new/", "desired-state/"]
        paths += ["firewall/trace/", "firewall/reachability/", "containers/web/connect/", "containers/web/remove/"]
        paths += [
            f"containers/web/?tab={tab}" for tab in ("endpoints", "rules", "files", "exec", "captures", "activity")
        ]
    for path in paths:
        answer = client.get(f"/@{host}/{path}")
        assert answer.status_code == 200, path
        strays = [url for url in LINK.findall(said(answer)) if not NO_HOST.match(url)]
        assert strays == [], path


def test_an_address_without_a_host_is_sent_on_where_there_are_several(world: World) -> None:
    client = page()
    assert client.get("/containers/").status_code == 200, "there is one host, and no address names it"
    assert "/@" not in said(client.get("/containers/"))
    Host.objects.create(name="two", heartbeat_at=world.host.heartbeat_at)
    assert client.get("/containers/?q=web").url == "/@local/containers/?q=web"
    assert client.post("/hosts/two/look/", {"page": "/containers/web/"}).url == "/@two/containers/"
    assert client.get("/containers/?q=web").url == "/@two/containers/?q=web"
    assert client.post("/@two/hosts/*/look/", {"page": "/drift/repair/"}).url == "/@*/drift/"
    assert client.get("/").url == "/@*/"
    assert client.post("/@*/hosts/local/look/", {"page": "//elsewhere.example/"}).url == "/@local/"
    gone = client.get("/@three/containers/")
    assert gone.status_code == 404
    assert 'href="/containers/"' in said(gone), "what that page leads to is of a host that is there"
    assert client.get("/@two/api/docs/?x=1").url == "/api/docs/?x=1", "the API names its host otherwise"
    client.post("/@two/hosts/*/look/")
    assert "Which host?" not in said(client.get("/api/docs/"))
    assert client.get("/api/docs/").status_code == 200


def test_what_an_open_page_asks_is_answered_where_its_address_names_no_host(two: World) -> None:
    client, by_script = page(), {"X-Live-Refresh": "1"}
    client.post("/hosts/two/look/")
    fresh = client.get("/containers/", headers=by_script)  # by a page that was opened while there was one host
    assert fresh.status_code == 200, "being sent on would tell it that nobody is signed in"
    assert [url for url in LINK.findall(said(fresh)) if not NO_HOST.match(url)] == []
    assert 'href="/@two/containers/web/"' in said(fresh)
    found = client.get("/palette/?q=web", headers=by_script)  # by the API's documentation, which is about no host
    assert "/@two/containers/web/" in [entry["url"] for entry in found.json()["entries"]]
    client.post("/hosts/*/look/")
    asked = client.get("/containers/web/", headers=by_script)
    assert 'href="/@local/containers/web/"' in said(asked)
    assert client.get("/palette/?q=web", headers=by_script).status_code == 200
    assert client.get("/containers/").url == "/@*/containers/", "nothing of it is left for the next"


def test_a_page_about_one_host_asks_which(two: World) -> None:
    client = page()
    for path in ("containers/new/?image=host", "firewall/trace/?from=web&to=db", "containers/web/"):
        asked = said(client.get(f"/@*/{path}"))
        assert "Which host?" in asked
        for host in ("local", "two"):
            assert f'href="/@{host}/{path}"'.replace("&", "&amp;") in asked
    refused = client.post("/@*/containers/web/do/stop/")
    assert refused.status_code == 400
    assert set(Container.objects.filter(name="web").values_list("wanted", flat=True)) == {"running"}


def test_what_is_done_is_done_on_the_host_of_the_page_whatever_was_chosen_since(two: World) -> None:
    client = page()
    client.post("/hosts/two/look/")
    client.post("/@local/containers/web/do/stop/")
    assert dict(Container.objects.filter(name="web").values_list("host__name", "wanted")) == {
        "local": "stopped",
        "two": "running",
    }
    client.post("/@two/containers/web/do/restart/", {"back": "/@two/containers/?q=web"})
    assert Operation.objects.order_by("number").last().host.name == "two"


def test_what_is_copied_for_the_api_names_the_host(two: World) -> None:
    assert "-X POST 'http://testserver/api/v1/containers?host=two'" in html.unescape(
        said(page().get("/@two/containers/web/"))
    )


@pytest.mark.parametrize("verb", ["stop", "remove"])
def test_what_is_picked_among_all_hosts_is_done_on_each(two: World, verb: str) -> None:
    client = page()
    picked = list(Container.objects.filter(name="web").values_list("pk", flat=True))
    given = {"verb": verb, "pick": picked}
    seen = client.post("/@*/containers/bulk/", given)
    assert re.findall(r"<h3>On host (\w+)</h3>", said(seen)) == ["local", "two"], "the plan tells what changes on each"
    before = Operation.objects.count()
    done = client.post("/@*/containers/bulk/", {**given, "plan": seen.context["plan"].digest})
    assert done.url == "/@*/containers/"
    asked = Operation.objects.order_by("-number")[: Operation.objects.count() - before]
    assert sorted(row.host.name for row in asked) == ["local", "two"]


def test_networks_of_several_hosts_go_together(world: World, two: World) -> None:
    for place in (world, two):
        place.network("app")
    picked = list(Network.objects.filter(name="app").values_list("pk", flat=True))
    client = page()
    seen = client.post("/@*/networks/bulk/", {"pick": picked})
    client.post("/@*/networks/bulk/", {"pick": picked, "plan": seen.context["plan"].digest})
    assert set(Network.objects.filter(name="app").values_list("removing", flat=True)) <= {True}


def test_the_drift_of_all_hosts_is_repaired_on_each(two: World) -> None:
    client = page()
    assert "Repair all" in said(client.get("/@*/drift/"))
    before = Operation.objects.count()
    client.post("/@*/drift/repair/", {"confirmed": "1"})
    client.post("/@*/drift/look/")
    rows = list(Operation.objects.order_by("number")[before:].values_list("host__name", "verb"))
    wanted = [("local", "host.repair"), ("two", "host.repair"), ("local", "host.look"), ("two", "host.look")]
    assert rows == wanted


def test_a_host_that_is_silent_is_named_where_all_are_looked_at(two: World) -> None:
    Host.objects.filter(name="two").update(heartbeat_at=None)
    frame = said(page().get("/@*/networks/"))
    top = frame.partition('id="top-host"')[2].partition("</summary>")[0]
    assert "does not answer" in top
    assert "two" in top
    assert 'data-live-url="/ws/live/?host=*"' in frame
    consumer = LiveConsumer()
    consumer.scope = {"session": {"host": "local"}}
    for asked, alive in (("", True), ("*", False), ("two", False), ("local", True)):
        consumer._host = asked
        assert consumer._worker_is_alive() is alive


def test_the_log_of_activity_is_of_a_host_and_of_what_is_of_none(two: World) -> None:
    assert set(Activity.objects.values_list("host", flat=True)) >= {"local", "two"}
    Activity.objects.create(actor="vera", verb="user.sign_in")
    seen = {row["host"] for row in page().get("/@two/activity/").context["listing"].rows}
    assert seen == {"", "two"}


def test_the_palette_finds_what_all_hosts_have(two: World) -> None:
    entries = json.loads(page().get("/@*/palette/?q=web").content)["entries"]
    urls = {entry["url"]: entry["group"] for entry in entries}
    assert urls["/@local/containers/web/"].endswith("local")
    assert urls["/@two/containers/web/"].endswith("two")


FIELDS = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


def joined(world: World) -> World:
    """A second host, which has a container of the same name, is there now and was chosen."""
    row = Host.objects.create(name="two", settings={"names": "cnm"}, heartbeat_at=world.host.heartbeat_at)
    networks.ensure_defaults(row)
    made = World(row)
    made.container("web")
    return made


def test_a_page_of_the_only_host_writes_there_when_another_host_was_chosen_since(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "WAIT_S", 0)
    world.container("web")
    client = page()
    opened = said(client.get("/containers/web/rename/"))
    fields = dict(FIELDS.findall(opened))
    joined(world)
    client.post("/hosts/two/look/")
    form = {"name": "shop", **fields}
    again = client.post("/containers/web/rename/", {**form, "name": "-"})
    assert again.status_code == 400
    assert dict(FIELDS.findall(said(again)))["page_host"] == "local", "as it was refused, so is it sent again"
    answer = client.post("/containers/web/rename/", {**form, "name": "shop"})
    assert answer["Location"] == "/@local/containers/shop/", "it is about that host still"
    assert sorted(Container.objects.values_list("host__name", "name")) == [("local", "shop"), ("two", "web")]
    assert client.post("/containers/web/rename/", {"name": "shop"}).status_code == 302
    assert Container.objects.get(host__name="two").name == "shop", "a program that names no host means the chosen one"


def test_a_page_of_a_host_that_is_gone_writes_nowhere(world: World) -> None:
    world.container("web")
    client = page()
    fields = dict(FIELDS.findall(said(client.get("/containers/web/rename/"))))
    joined(world)
    Host.objects.filter(pk=world.host.pk).update(name="renamed")
    refused = client.post("/containers/web/rename/", {"name": "shop", **fields})
    assert refused.status_code == 404
    assert "The page was about host local, which is not there any more." in said(refused)
    assert set(Container.objects.values_list("name", flat=True)) == {"web"}


def test_what_is_about_no_host_goes_on_from_a_page_of_a_host_that_is_gone(two: World) -> None:
    client = page("admin")
    client.post("/hosts/two/look/")
    old = {"page_host": "gone"}
    answers = [
        client.post("/settings/columns/", {"list": "networks", "column": ["driver"], **old}),
        client.post("/topology/places/", "{}", "application/json", headers={"X-Page-Host": "gone"}),
        client.post("/tokens/", {"name": "ci", "role": "viewer", "days": "30", **old}),
        client.post("/users/", {"name": "petra", "password": "only-looking-around", "role": "viewer", **old}),
        client.post("/@gone/users/petra/", {"role": "operator", "active": "on"}),
        client.get("/settings/", headers={"X-Page-Host": "gone", "X-Live-Refresh": "1"}),
    ]
    assert [answer.status_code for answer in answers] == [302, 204, 200, 302, 302, 200]
    assert User.objects.get(username="petra").role == "operator"
    assert client.get("/@gone/settings/?a=b")["Location"] == "/@two/settings/?a=b"
    wrong = said(client.post("/@gone/settings/", {"old_password": "no", "new_password": "no"}))
    assert "This is not your present password." in wrong
    assert dict(FIELDS.findall(wrong))["page_host"] == "two", "what is sent next is about a host that is there"
    assert client.post("/hosts/local/look/", {**old, "page": "/drift/"})["Location"] == "/@local/drift/"
    assert client.post("/containers/web/do/stop/", old).status_code == 404, "this is about a host"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="admin"))
    refused = strict.post("/containers/web/do/stop/", headers={"X-Page-Host": "gone"})
    assert (refused.status_code, refused["X-Refused-Form"]) == (403, "old"), "what is wrong first is said"


def test_what_an_open_page_asks_is_about_its_own_host(two: World) -> None:
    client = page()
    client.post("/hosts/two/look/")
    by_script = {"X-Live-Refresh": "1", "X-Page-Host": "local"}
    fresh = client.get("/containers/web/", headers=by_script)
    assert 'href="/@local/containers/web/remove/"' in said(fresh)
    filtered = client.get("/containers/?q=web", headers={"X-Page-Host": "local"})
    assert filtered["Location"] == "/@local/containers/?q=web"
    there = client.get("/@two/containers/web/", headers=by_script)
    assert 'href="/@two/containers/web/remove/"' in said(there), "an address says it before all else"
    assert "/@local/containers/web/" not in said(there)
    client.post("/@two/containers/web/do/stop/", headers={"X-Page-Host": "local"})
    wanted = dict(Container.objects.filter(name="web").values_list("host__name", "wanted"))
    assert (wanted["local"], wanted["two"]) == ("running", "stopped")


def test_a_picture_of_the_only_host_leads_to_hosts_that_join(world: World) -> None:
    told = said(page().get("/topology/"))
    assert 'data-container-url="/@HOST/containers/OBJECT/"' in told
    assert 'data-trace-url="/@HOST/firewall/trace/"' in told


def test_the_activity_of_one_host_has_nothing_of_another_and_what_is_of_none_is_everywhere(two: World) -> None:
    Activity.objects.create(actor="anna", verb="host.drain", subject_name="only-here", host="local")
    Activity.objects.create(actor="anna", verb="host.drain", subject_name="only-there", host="two")
    Activity.objects.create(actor="anna", verb="token.create", subject_name="nowhere")
    client = page("admin")
    for host, seen in (("local", {"only-here"}), ("two", {"only-there"}), ("*", {"only-here", "only-there"})):
        text = said(client.get(f"/@{host}/activity/")).partition("<main")[2]
        assert {name for name in ("only-here", "only-there") if name in text} == seen, host
        assert "nowhere" in text, host
