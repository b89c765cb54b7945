"""The schema goes forward, back and forward again, on both databases, with what people made in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testlib.bottle import REPOSITORY
from tests.testlib.postgres import Postgres


def story() -> None:
    """In a process of its own, for it changes the schema below Django's feet."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    def migrate(*words: str) -> None:
        call_command("migrate", *words, verbosity=0)

    steps = sorted(name for app, name in MigrationLoader(connection).disk_migrations if app == "networks")
    for step in steps:
        migrate("networks", step)
    migrate()
    schema = _schema()
    _fill()
    kept = _kept()
    for step in reversed(steps[:-1]):
        migrate("networks", step)
    assert _count("networks_container") == 1, "what 0001 knows of stays"
    for step in steps[1:]:
        migrate("networks", step)
    assert _schema() == schema
    assert _kept() == kept
    migrate("networks", "zero")
    assert not [name for name in connection.introspection.table_names() if name.startswith("networks_")]
    migrate()
    assert _schema() == schema
    _fill()
    assert _kept() == kept
    assert connection.vendor == os.environ["CNM_WANTED"]


def _fill() -> None:
    """A host with its networks, a container that has everything, and people."""
    from django.core.management import call_command
    from django.utils import timezone

    from networks.models import Host
    from networks.services import containers, networks
    from networks.services.spec_container import read_container
    from networks.services.spec_network import read_network
    from tests.testlib.world import OPERATOR

    call_command("bootstrap")
    Host.objects.update(heartbeat_at=timezone.now())
    host = Host.objects.get()
    networks.create_network(OPERATOR, host, read_network({"name": "app", "labels": {"a": "1"}}))
    body = {"name": "web", "command": ["sleep", "9"], "network": "app", "ports": ["8080:80"], "labels": {"b": "2"}}
    containers.run_container(OPERATOR, host, read_container(body))


def _schema() -> dict[str, Any]:
    """Table -> its columns and constraints."""
    from django.db import connection

    look = connection.introspection
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(look.table_names(cursor)):
            if table.startswith("networks_"):
                columns = {
                    column.name: (look.get_field_type(column.type_code, column), column.null_ok)
                    for column in look.get_table_description(cursor, table)
                }
                rules = [
                    (sorted(rule["columns"] or ()), rule["unique"], rule["primary_key"], rule["foreign_key"])
                    for rule in look.get_constraints(cursor, table).values()
                ]
                found[table] = (columns, sorted(map(repr, rules)))
    return found


def _kept() -> dict[str, Any]:
    from networks.models import Container, Endpoint, Network, PublishedPort, User

    return {
        "people": list(User.objects.values_list("username", "role")),
        "networks": sorted(Network.objects.values_list("name", "driver", "labels__a")),
        "containers": list(Container.objects.values_list("name", "wanted", "spec", "labels")),
        "addresses": sorted(Endpoint.objects.values_list("container__name", "network__name")),
        "ports": list(PublishedPort.objects.values_list("host_port", "container_port")),
    }


def _count(table: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608  # a name of ours
        return int(cursor.fetchone()[0])


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    folders = {"CNM_STATE_DIR": str(tmp_path), "CNM_RUN_DIR": str(tmp_path), "CNM_WANTED": request.param}
    if request.param == "sqlite":
        yield folders | {"CNM_DATABASE_URL": f"sqlite://{tmp_path}/test.sqlite3"}
        return
    with Postgres() as server:
        yield folders | {"CNM_DATABASE_URL": server.url}


def test_the_schema_goes_forward_back_and_forward_again(database: dict[str, str]) -> None:
    env = {"DJANGO_SETTINGS_MODULE": "cnmweb.settings", "PYTHONWARNINGS": "ignore", "CNM_ADMIN_PASSWORD": "no-matter"}
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import story; story()"],
        cwd=REPOSITORY,
        env=os.environ | env | database,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
