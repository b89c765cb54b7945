"""A host joins by an admin's token: once, in time, under a name of its own."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from networks.cnm.errors import Conflict, Forbidden, InvalidSpec, Unsupported
from networks.load import load_host
from networks.models import Activity, Host, JoinToken, Operation, User
from networks.services import hosts, joining, networks
from networks.services.images import ensure_host_image
from networks.services.tokens import create_token
from tests.testlib.world import ADMIN, OPERATOR, World

pytestmark = pytest.mark.django_db
DATABASE = "postgres://cnm:pw@db.example/cnm?sslmode=verify-full"
REDIS = "rediss://:pw@redis.example:6379/0"


@pytest.fixture(autouse=True)
def reachable(settings: LazySettings) -> None:
    settings.DATABASE_URL, settings.REDIS_URL = DATABASE, REDIS


def test_a_token_lets_one_host_in(world: World) -> None:
    row, token = joining.create_join_token(ADMIN)
    given = joining.join(token, "two").to_settings()
    assert given["CNM_DATABASE_URL"] == DATABASE
    assert given["CNM_REDIS_URL"] == REDIS
    assert (given["CNM_VXLAN_PORT"], given["CNM_VXLAN_ENCRYPTED_PORT"]) == ("4789", "4790")
    assert len(given["CNM_SECRET_KEY"]) >= 32
    row.refresh_from_db()
    assert row.host == Host.objects.get(name="two")
    with pytest.raises(Forbidden, match="was used"):
        joining.join(token, "three")
    assert not Host.objects.filter(name="three").exists()
    assert [token in str(activity.request) for activity in Activity.objects.filter(verb__startswith="host.")] == [
        False,
        False,
    ]
    assert token not in row.digest


def test_a_token_has_an_end_and_can_be_taken_back(world: World) -> None:
    row, late = joining.create_join_token(ADMIN)
    JoinToken.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    revoked, gone = joining.create_join_token(ADMIN)
    joining.revoke_join_token(ADMIN, revoked)
    for token in (late, gone, "cnmjoin_guessed", ""):
        with pytest.raises(Forbidden):
            joining.join(token, "two")


def test_a_host_is_forgotten_when_it_is_stopped(world: World) -> None:
    _, token = joining.create_join_token(ADMIN)
    joining.join(token, "two")
    two = World(Host.objects.get(name="two"))
    networks.ensure_defaults(two.host)
    ensure_host_image(two.host)
    Host.objects.filter(name="two").update(heartbeat_at=world.host.heartbeat_at, underlay="192.0.2.2")
    two.host.refresh_from_db()
    app = two.network("app", driver="overlay")
    two.container("db", network="app")
    world.container("web", network="app")
    for row, match in ((two.host, "is not drained"), (world.host, "console runs on")):
        with pytest.raises(Conflict, match=match):
            hosts.remove_host(ADMIN, row, force=True)
    Host.objects.filter(name="two").update(heartbeat_at=None)
    with pytest.raises(Conflict, match="db"):
        hosts.remove_host(ADMIN, two.host)
    with pytest.raises(Forbidden):
        hosts.remove_host(OPERATOR, two.host, force=True)
    assert [remote.names[0] for remote in load_host(world.host).remotes] == ["db"]
    hosts.remove_host(ADMIN, two.host, force=True)
    assert load_host(world.host).remotes == ()
    assert Operation.objects.filter(host=world.host, verb="network.peers", state="pending").exists()
    app.refresh_from_db()
    assert app.host == world.host, "what spans hosts outlives them"
    Host.objects.filter(name="local").update(heartbeat_at=None)
    with pytest.raises(Conflict, match="only host"):
        hosts.remove_host(ADMIN, world.host, force=True)


def test_what_is_kept_on_another_host_is_not_looked_for_here(world: World) -> None:
    row = Host.objects.create(name="two", settings={"names": "cnm"}, heartbeat_at=world.host.heartbeat_at)
    networks.ensure_defaults(row)
    ensure_host_image(row)
    World(row).container("db")
    anna = User.objects.create_user("anna", password="a-long-password", role="admin")
    admin = Client(headers={"Authorization": f"Bearer {create_token(ADMIN, anna, 't', 'admin')[1]}"})
    said = admin.get("/api/v1/containers/db/logs?host=two")
    assert said.status_code == 503
    assert "host two" in said.json()["detail"], "it is asked there, and where nobody answers that is said"
    opened = admin.post("/api/v1/containers/db/terminals?host=two", {}, content_type="application/json")
    assert opened.status_code == 201


def test_only_admins_let_hosts_in(world: World) -> None:
    with pytest.raises(Forbidden):
        joining.create_join_token(OPERATOR)


def test_a_name_is_one_hosts_and_a_refusal_costs_no_token(world: World) -> None:
    _, token = joining.create_join_token(ADMIN)
    with pytest.raises(Conflict, match="local"):
        joining.join(token, "local")
    for name in ("", "two hosts", "a/b", "x" * 65, "two\n"):
        with pytest.raises(InvalidSpec):
            joining.join(token, name)
    joining.join(token, "two")


@pytest.mark.parametrize(
    ("database", "redis", "named"),
    [
        ("sqlite:///var/lib/cnm/db/cnm.sqlite3", REDIS, "CNM_DATABASE_URL"),
        ("postgres://cnm@%2Fvar%2Frun%2Fpostgresql/cnm", REDIS, "CNM_DATABASE_URL"),
        ("postgres://cnm:pw@127.0.0.1:5433/cnm", REDIS, "CNM_DATABASE_URL"),
        (DATABASE, "unix:///run/cnm/redis/redis.sock", "CNM_REDIS_URL"),
        (DATABASE, "redis://:pw@[::1]:6379/0", "CNM_REDIS_URL"),
    ],
)
def test_what_no_other_host_could_reach_is_named(
    world: World, settings: LazySettings, database: str, redis: str, named: str
) -> None:
    settings.DATABASE_URL, settings.REDIS_URL = database, redis
    with pytest.raises(Unsupported, match=named):
        joining.create_join_token(ADMIN)
    settings.SHARED_DATABASE_URL, settings.SHARED_REDIS_URL = DATABASE, REDIS
    assert joining.shared().database_url == DATABASE, "unless it is told how others reach it"


def test_the_whole_way_over_rest(world: World) -> None:
    anna = User.objects.create_user("anna", password="a-long-password", role="admin")
    admin = Client(headers={"Authorization": f"Bearer {create_token(ADMIN, anna, 't', 'admin')[1]}"})
    made = admin.post("/api/v1/hosts/join-tokens", {"hours": 2}, content_type="application/json")
    assert made.status_code == 201, made.content
    assert made.json()["command"] == "make join CONSOLE=http://testserver/"
    asked = {"token": made.json()["token"], "name": "two"}
    stranger = Client()
    answer = stranger.post("/api/v1/hosts/join", asked, content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["settings"]["CNM_DATABASE_URL"] == DATABASE
    again = stranger.post("/api/v1/hosts/join", asked | {"name": "three"}, content_type="application/json")
    assert again.status_code == 403
    listed = admin.get("/api/v1/hosts/join-tokens").json()["results"]
    assert [(row["host"], "token" in row) for row in listed] == [("two", False)]
    assert DATABASE not in json.dumps(listed)
    assert stranger.get("/api/v1/hosts/join-tokens").status_code == 401
    assert admin.delete(f"/api/v1/hosts/join-tokens/{listed[0]['id']}").status_code == 204
