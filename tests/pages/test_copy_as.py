"""What a form's plan and a detail page offer to copy."""

from __future__ import annotations

import html

from django.test import Client

from networks.models import User
from networks.services import networks
from tests.testlib.world import OPERATOR, World


def test_the_plan_of_a_form_and_the_detail_page_offer_the_same_commands(world: World) -> None:
    page = Client()
    page.force_login(User.objects.create_user(username="olga", password="x", role="operator"))
    body = {"name": "web", "command": "sleep 9", "network": "bridge", "image": "host", "start": "on", "step": "preview"}
    body |= {
        "ports.0.container_port": "80",
        "ports.0.host_port": "8080",
        "env.0.key": "DB_PASSWORD",
        "env.0.value": "s3cret",
    }
    shown = html.unescape(page.post("/containers/new/", body).content.decode())
    line = "docker run --detach --name=web --publish=8080:80 --env=DB_PASSWORD host sleep 9"
    assert line in shown
    assert "-X POST http://testserver/api/v1/containers" in shown
    world.network("app", subnets=[{"subnet": "10.4.0.0/24"}])
    world.container("web", ports=["8080:80"], env={"DB_PASSWORD": "s3cret"}, command=["sleep", "9"])
    assert line in html.unescape(page.get("/containers/web/").content.decode())
    network = html.unescape(page.get("/networks/app/").content.decode())
    assert "docker network create --driver=bridge --subnet=10.4.0.0/24 app" in network
    assert "- subnet: 10.4.0.0/24" in network
    assert "docker network create" not in page.get("/networks/bridge/").content.decode(), "it is always there"
    form = html.unescape(
        page.post(
            "/networks/new/", {"name": "new", "driver": "bridge", "icc": "on", "masquerade": "on", "step": "preview"}
        ).content.decode()
    )
    assert "docker network create --driver=bridge new" in form


def test_a_network_that_is_on_its_way_out_has_a_page_and_nothing_to_copy(world: World) -> None:
    networks.delete_network(OPERATOR, world.network("app"))
    page = Client()
    page.force_login(User.objects.create_user(username="olga", password="x", role="operator"))
    shown = page.get("/networks/app/")
    assert shown.status_code == 200
    assert "docker network create" not in shown.content.decode()
