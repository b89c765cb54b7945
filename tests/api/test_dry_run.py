"""``?dry_run=1`` on every write that the OpenAPI schema knows: it answers, and leaves the database as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from networks import settle
from networks.cnm.errors import KernelRefused
from networks.models import (
    ApiToken,
    Capture,
    Drift,
    ExecSession,
    Host,
    Image,
    JoinToken,
    Link,
    Operation,
    SecurityAssociation,
)
from networks.services.tokens import digest_of
from tests.api.test_audit import see
from tests.testlib.world import World

from .conftest import Rest

People = Callable[[str], Rest]
WRITES = ("post", "put", "patch", "delete")
QUESTIONS = frozenset(
    {
        "say_what_a_packet_would_do",
        "audit_the_saved_rules_of_another_host",
        "show_a_compose_file_as_a_file_of_the_desired_state_with_what_is_not_taken_over",
    }
)
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


GOES_WITHOUT_A_WORD = {
    "revoke_a_token",
    "take_the_leave_to_join_back",
    "let_a_host_go_that_is_drained_or_lost",
}
"""They take one row away, and no worker has to do with it."""
JOIN_TOKEN = "cnmjoin_x"
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
    "have_a_container_s_processes_stand_still": {},
    "let_a_paused_container_go_on": {},
    "send_a_signal_to_a_container_s_process": {"signal": "TERM"},
    "rename_a_container": {"name": "other"},
    "run_a_command_in_a_container": {"command": ["touch", "/x"]},
    "open_a_terminal_in_a_container": {"command": ["sh"]},
    "end_a_terminal": None,
    "capture_packets_of_an_endpoint_or_a_bridge": {"container": "web"},
    "end_a_packet_capture_now": {},
    "delete_a_packet_capture": None,
    "ask_a_container_s_name_servers_from_within_it": {"name": "db"},
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
    "apply_a_desired_state_a_file_of_networks_and_containers": {
        "networks": {"new": {}},
        "containers": {"one": {"command": ["x"], "network": "new"}, "web": {"command": ["y"], "network": "app"}},
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
    "let_one_host_join_the_token_is_in_this_answer_only": {"hours": 2},
    "take_the_leave_to_join_back": None,
    "join_as_a_host_by_a_token": {"token": JOIN_TOKEN, "name": "new"},
    "let_a_host_go_that_is_drained_or_lost": None,
    "drain_a_host_stop_its_containers_and_let_it_start_none": {},
    "take_up_a_drained_host_again": {"start": True},
    "exchange_the_keys_of_all_hosts_for_others_while_packets_flow": {},
}
"""A body for every write, with which it would change something."""
REFERENCES = {
    "start_a_container": "idle",
    "let_a_paused_container_go_on": "still",
    "connect_a_container_to_a_network": "empty",
    "remove_a_network": "empty",
    "drain_a_host_stop_its_containers_and_let_it_start_none": "local",
    "take_up_a_drained_host_again": "rested",
}


ON_OTHERS = {"elsewhere", "stays_behind"}
"""What the plan of a host's drain or end tells besides."""


def database() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, save for when a token was used last: that is noted again after a minute."""
    rows = {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models(include_auto_created=True)
    }
    for token in rows[ApiToken._meta.label]:
        del token["last_used_at"]
    return rows


@pytest.fixture
def scene(world: World, rest: People, settings: Any) -> dict[str, str]:
    """Something to do each write to; which object each kind of path names."""
    settings.SHARED_DATABASE_URL, settings.SHARED_REDIS_URL = "postgres://db.example/cnm", "rediss://:x@redis.example/0"
    lost = Host.objects.create(name="lost")
    SecurityAssociation.objects.create(sender=world.host, receiver=lost, sealed="x", used_at=timezone.now())
    Host.objects.create(name="rested", drained=True, heartbeat_at=world.host.heartbeat_at)
    leave = JoinToken.objects.create(
        digest=digest_of(JOIN_TOKEN), created_by="anna", expires_at=timezone.now() + timedelta(hours=1)
    )
    world.network("app")
    world.network("empty")
    world.container("db")
    world.container("loose", network="app")
    web = world.container("web", network="app", ports=["8081:80"])
    world.container("linked", links=["db:d"])
    world.container("idle", start=False)
    still = world.container("still")
    still.paused_run = still.run
    still.save()
    Image.objects.create(host=world.host, name="old:1", kind="oci", status="ready")
    Drift.objects.create(host=world.host, key="rule x", kind="missing", resource_kind="rule", text="-A x")
    failed = Operation.objects.create(number=10**6, host=world.host, verb="host.look", scope={"all": True})
    settle.end_only(failed, KernelRefused("It broke."))
    see(world)
    anna = rest("admin").user.username
    terminal = ExecSession.objects.create(container=web, command=["sh"], created_by=anna)
    taken = {"host": world.host, "subject_kind": "container", "subject_id": web.pk, "interface": "eth0"}
    capture = Capture.objects.create(**taken, seconds=1, size_limit=1, snap_length=64, state="done")
    return {
        "captures": capture.pk,
        "hosts": "lost",
        "hosts/join-tokens": str(leave.pk),
        "terminals": terminal.pk,
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
    reference = REFERENCES.get(name, scene.get(path.partition("/{")[0], ""))
    for open_part, value in (("{ref}", reference), ("{name}", reference), ("{port_id}", scene["port"])):
        path = path.replace(open_part, value)
    return method.upper(), path


def test_there_is_a_body_for_every_write() -> None:
    assert writes() == sorted(BODIES)


def test_a_dry_run_of_each_write_answers_and_changes_nothing(world: World, rest: People, scene: dict[str, str]) -> None:
    call = rest("admin")
    before = database()
    for name, body in BODIES.items():
        method, path = place(name, scene)
        params = {"force": 1} if name == "remove_a_container" else {}
        answer = call(method, path, body, dry_run="1", **params)
        assert answer.status_code == 200, (name, answer.content)
        shown = answer.json()
        assert set(shown) - ON_OTHERS == {"plan", "operation", "result", "warnings", "facts_age_s", "reachability"}, (
            name
        )
        assert shown["operation"] or shown["plan"]["steps"] or shown["result"] or name in GOES_WITHOUT_A_WORD, name
        assert database() == before, name


def test_each_of_these_writes_would_change_something(world: World, rest: People, scene: dict[str, str]) -> None:
    """So that the test above is no empty promise."""
    call = rest("admin")
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
    before = database()
    for name, body in BODIES.items():
        method, path = place(name, scene)
        for field, value in (("dryrun", "1"), ("dry_run", "maybe"), ("wait", "abc")):
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
