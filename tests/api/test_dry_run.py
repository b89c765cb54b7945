"""``?dry_run=1`` on every write that the OpenAPI schema knows: it answers, and leaves the database as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator

from networks import settle
from networks.cnm.errors import KernelRefused
from networks.models import Drift, Image, Link, Operation
from tests.api.test_audit import see
from tests.testlib.world import World

from .conftest import Rest

People = Callable[[str], Rest]
WRITES = ("post", "put", "patch", "delete")
QUESTIONS = frozenset({"say_what_a_packet_would_do", "audit_the_saved_rules_of_another_host"})
"""Asked by POST, because a question may be long; they write nothing."""


def operations() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """(operation id, method, path below /api/v1/, description) of everything in the schema."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            if path.startswith("/api/v1/"):
                yield operation["operationId"], method, path.removeprefix("/api/v1/"), operation


def writes() -> list[str]:
    return sorted(name for name, method, _, _ in operations() if method in WRITES and name not in QUESTIONS)


BODIES: dict[str, Any] = {
    "create_a_network": {"name": "new"},
    "change_a_network": {"options": {"com.docker.network.bridge.enable_icc": "false"}},
    "remove_a_network": None,
    "connect_a_container_to_a_network": {"container": "web"},
    "disconnect_a_container_from_a_network": {"container": "web"},
    "run_a_container": {"name": "new", "command": ["x"], "ports": ["8080:80"]},
    "remove_a_container": None,
    "start_a_container": {},
    "stop_a_container": {"timeout": 1},
    "restart_a_container": {},
    "send_a_signal_to_a_container_s_process": {"signal": "TERM"},
    "rename_a_container": {"name": "other"},
    "run_a_command_in_a_container": {"command": ["touch", "/x"]},
    "make_an_image_of_a_container_s_files": {"image": "made:1"},
    "publish_more_ports_of_a_container": {"ports": ["9090:90"]},
    "close_a_published_port": None,
    "say_who_may_reach_a_published_port": {"allowed_sources": ["192.0.2.0/24"]},
    "keep_who_reaches_whom_now": {"note": "before"},
    "send_one_real_packet_and_show_what_came_back_beside_what_was_predicted": {"from": "web", "to": "db", "port": 80},
    "make_many_networks_and_containers_all_or_nothing": {
        "networks": [{"name": "new"}],
        "containers": [{"name": "one", "command": ["x"], "network": "new"}],
    },
    "start_many_containers": {"containers": ["idle"]},
    "stop_many_containers": {"containers": ["web", "db"], "timeout": 1},
    "remove_many_containers_and_networks": {"containers": ["web", "loose"], "networks": ["app"], "force": True},
    "link_a_container_to_another": {"recipient": "loose", "source": "web", "alias": "w"},
    "remove_a_link": None,
    "mend_drift": {},
    "compare_everything_with_the_kernel_now": {},
    "import_an_image": {"name": "web", "source": "docker://127.0.0.1:5000/web:1"},
    "remove_an_image": None,
    "do_again_what_failed": {},
    "create_a_token_its_secret_is_in_this_answer_only": {"name": "ci", "role": "viewer"},
    "revoke_a_token": None,
}
"""A body for every write, with which it would change something."""
REFERENCES = {"start_a_container": "idle", "connect_a_container_to_a_network": "empty", "remove_a_network": "empty"}


def database() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models(include_auto_created=True)
    }


@pytest.fixture
def scene(world: World, rest: People) -> dict[str, str]:
    """Something to do each write to; which object each kind of path names."""
    world.network("app")
    world.network("empty")
    world.container("db")
    world.container("loose", network="app")
    web = world.container("web", network="app", ports=["8081:80"])
    world.container("linked", links=["db:d"])
    world.container("idle", start=False)
    Image.objects.create(host=world.host, name="old:1", kind="oci", status="ready")
    Drift.objects.create(host=world.host, key="rule x", kind="missing", resource_kind="rule", text="-A x")
    failed = Operation.objects.create(number=10**6, host=world.host, verb="host.look", scope={"all": True})
    settle.end_only(failed, KernelRefused("It broke."))
    see(world)
    return {
        "networks": "app",
        "containers": "web",
        "links": Link.objects.get().pk,
        "images": "old:1",
        "operations": failed.pk,
        "port": web.ports.get().pk,
        "tokens": str(rest("admin").user.tokens.get().pk),
    }


def place(name: str, scene: dict[str, str]) -> tuple[str, str]:
    """The method of an operation, and its path with the parameters filled."""
    method, path = next((method, path) for found, method, path, _ in operations() if found == name)
    reference = REFERENCES.get(name, scene.get(path.partition("/")[0], ""))
    return method.upper(), path.replace("{ref}", reference).replace("{port_id}", scene["port"])


def test_there_is_a_body_for_every_write() -> None:
    assert writes() == sorted(BODIES)


def test_a_dry_run_of_each_write_answers_and_changes_nothing(world: World, rest: People, scene: dict[str, str]) -> None:
    call = rest("admin")
    call("GET", "me")  # a token's first use is noted
    before = database()
    for name, body in BODIES.items():
        method, path = place(name, scene)
        params = {"force": 1} if name == "remove_a_container" else {}
        answer = call(method, path, body, dry_run="1", **params)
        assert answer.status_code == 200, (name, answer.content)
        shown = answer.json()
        assert set(shown) == {"plan", "operation", "result", "warnings", "facts_age_s", "reachability"}, name
        assert shown["operation"] or shown["plan"]["steps"] or shown["result"] or name == "revoke_a_token", name
        assert database() == before, name


def test_each_of_these_writes_would_change_something(world: World, rest: People, scene: dict[str, str]) -> None:
    """So that the test above is no empty promise."""
    call = rest("admin")
    call("GET", "me")
    before = database()
    for name, body in BODIES.items():
        method, path = place(name, scene)
        params = {"force": 1} if name == "remove_a_container" else {}
        with transaction.atomic():
            answer = call(method, path, body, wait=0, **params)
            assert answer.status_code < 300, (name, answer.content)
            assert database() != before, name
            transaction.set_rollback(True)


def test_a_mistyped_parameter_is_refused_before_anything_is_written(
    world: World, rest: People, scene: dict[str, str]
) -> None:
    call = rest("admin")
    call("GET", "me")
    before = database()
    for name, body in BODIES.items():
        method, path = place(name, scene)
        for field, value in (("dryrun", "1"), ("dry_run", "maybe")):
            answer = call(method, path, body, **{field: value})
            assert answer.status_code == 400, (name, answer.content)
            assert answer.json()["field"] == field
            assert answer.json()["remedy"]
    assert database() == before


def test_a_dry_run_of_a_repair_shows_what_it_would_mend(world: World, rest: People, scene: dict[str, str]) -> None:
    shown = rest("operator")("POST", "drift/repair", {}, dry_run=1).json()
    assert [row["text"] for row in shown["result"]["mends"]] == ["-A x"]
    assert shown["operation"]["verb"] == "host.repair"


def test_a_dry_run_of_a_token_tells_no_secret(world: World, rest: People) -> None:
    shown = rest("operator")("POST", "tokens", {"name": "ci"}, dry_run=1).json()
    assert shown["result"]["name"] == "ci"
    assert "token" not in shown["result"]


def test_the_schema_offers_a_dry_run_on_every_write_and_shows_its_answer() -> None:
    for name, method, _, described in operations():
        offered = {parameter["name"] for parameter in described["parameters"]}
        is_write = method in WRITES and name not in QUESTIONS
        assert ("dry_run" in offered) == is_write, name
        if is_write:
            assert "Preview" in str(described["responses"]["200"]), name
