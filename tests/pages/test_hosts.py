"""The pages are about one host, and a person says about which."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings, settings
from django.test import Client
from django.utils import timezone

from networks.live.consumer import LiveConsumer
from networks.live.session import HOST_LOOKED_AT
from networks.models import Host, JoinToken, User
from networks.pages import base
from networks.services import networks
from networks.services.images import ensure_host_image
from tests.testlib.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(world: World) -> World:
    row = Host.objects.create(name="two", settings={"names": "cnm"}, heartbeat_at=world.host.heartbeat_at)
    networks.ensure_defaults(row)
    ensure_host_image(row)
    return World(row)


def page(role: str = "viewer") -> Client:
    made = Client()
    made.force_login(User.objects.create_user(username=role, password="x", role=role))
    return made


def test_all_hosts_are_listed_and_one_is_looked_at(world: World, two: World) -> None:
    world.container("here")
    two.container("there")
    app = world.network("app", driver="overlay")
    client = page()
    said = client.get("/host/", follow=True).content.decode()
    assert all(f'<th scope="row">{name}</th>' in said for name in ("local", "two"))
    assert "here" in client.get("/containers/", follow=True).content.decode()
    client.post("/hosts/two/look/")
    said = client.get("/containers/", follow=True).content.decode()
    assert "there" in said
    assert ">here<" not in said
    assert app.name in client.get("/networks/", follow=True).content.decode(), "it is every host's"
    assert client.post("/hosts/nowhere/look/").status_code == 404
    two.host.containers.all().delete()
    two.host.networks.all().delete()
    two.host.delete()
    assert client.get("/containers/", follow=True).status_code == 200, "a host that is gone is looked at no more"


def test_a_link_from_a_picture_of_all_hosts_says_which_one_it_is_about(world: World, two: World) -> None:
    there = two.container("there")
    client = page()
    assert client.get(f"/containers/{there.pk}/", follow=True).status_code == 404
    assert client.get(f"/@two/containers/{there.pk}/").status_code == 200
    assert ">there<" in client.get("/@two/containers/").content.decode(), "and so it stays"
    assert client.get("/@nowhere/containers/").status_code == 404
    assert ">there<" in client.get("/@two/containers/").content.decode()


def test_an_admin_lets_a_host_join(world: World, settings: LazySettings) -> None:
    settings.DATABASE_URL, settings.REDIS_URL = "postgres://c:p@db.example/c", "redis://:p@redis.example/0"
    assert page("operator").post("/hosts/invite/").status_code == 403
    assert not JoinToken.objects.exists()
    said = page("admin").post("/hosts/invite/").content.decode()
    assert "cnmjoin_" in said
    assert "make join CONSOLE=http://testserver/" in said
    settings.DATABASE_URL = "sqlite:////var/lib/cnm/db/cnm.sqlite3"
    other = Client()
    other.force_login(User.objects.get(username="admin"))
    refused = other.post("/hosts/invite/")
    assert refused.status_code == 501
    assert "CNM_DATABASE_URL" in refused.content.decode()


def test_a_host_is_drained_taken_up_and_removed_after_a_look_at_what_that_does(
    world: World, two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "WAIT_S", 0)
    two.container("there")
    assert page("operator").get("/hosts/two/drain/", follow=True).status_code == 403
    client = page("admin")
    assert '/hosts/two/drain/"' in client.get("/host/", follow=True).content.decode()
    seen = client.get("/hosts/two/drain/", follow=True)
    assert "process there: sleep 9" in seen.content.decode()
    assert not Host.objects.get(name="two").drained
    two.container("late")
    digest = {"plan": seen.context["plan"].digest}
    changed = client.post("/hosts/two/drain/", digest)
    assert "has changed since you saw it" in changed.content.decode()
    digest = {"plan": changed.context["plan"].digest}
    assert client.post("/hosts/two/drain/", digest).status_code == 302
    two.work()
    assert Host.objects.get(name="two").drained
    said = client.get("/host/", follow=True).content.decode()
    assert '/hosts/two/activate/"' in said
    assert '/hosts/two/remove/"' in said
    seen = client.get("/hosts/two/activate/", follow=True)
    assert "process late: sleep 9" in seen.content.decode()
    Host.objects.filter(name="two").update(heartbeat_at=None)
    seen = client.get("/hosts/two/remove/", follow=True)
    assert "What stays behind on host two" in seen.content.decode()
    client.post("/hosts/two/look/")
    assert client.post("/hosts/two/remove/", {"plan": seen.context["plan"].digest}).status_code == 302
    assert not Host.objects.filter(name="two").exists()
    assert client.get("/host/", follow=True).status_code == 200


def test_a_host_that_is_silent_is_shown_so_to_whoever_looks_at_it(world: World, two: World) -> None:
    heard = timezone.now() - timedelta(seconds=settings.HEARTBEAT_STALE_S + 1)
    Host.objects.filter(name="two").update(heartbeat_at=heard)
    client = page()
    rows = client.get("/host/", follow=True).content.decode().split('<th scope="row">')[1:]
    assert ["does not answer" in row.partition("</tr>")[0] for row in rows[:2]] == [False, True]
    consumer = LiveConsumer()
    for looked_at, alive in ({}, True), ({"host": "two"}, False), ({"host": "gone"}, True):
        consumer.scope = {"session": looked_at}
        assert consumer._worker_is_alive() is alive, "each open page says it of its own host"


def test_the_log_of_what_a_silent_host_has_is_said_to_be_out_of_reach(world: World, two: World) -> None:
    two.container("there")
    Host.objects.filter(name="two").update(heartbeat_at=timezone.now() - timedelta(hours=1))
    client = page()
    chosen = client.session
    chosen[HOST_LOOKED_AT] = "two"
    chosen.save()
    answer = client.get("/containers/there/log/", follow=True)
    assert (answer.status_code, b"does not answer" in answer.content) == (503, True)
