"""The files of an adopted namespace: what its own programs read is none of ours, and the page says so."""

from __future__ import annotations

from django.test import Client

from networks.models import User
from networks.services import containers
from networks.services.spec_container import read_container
from tests.testlib.world import ADMIN, World


def test_the_page_says_that_what_runs_inside_reads_other_files(world: World) -> None:
    body = {"name": "theirs", "kind": "adopted", "adopt": {"path": "/run/netns/theirs"}}
    containers.run_container(ADMIN, world.host, read_container(body))
    world.container("ours")
    world.work()
    client = Client()
    client.force_login(User.objects.create_user(username="olga", password="x", role="operator"))
    shown = client.get("/containers/theirs/?tab=files").content.decode()
    assert "reads files of its own" in shown
    assert "reads files of its own" not in client.get("/containers/ours/?tab=files").content.decode()
