"""What a plugin does with a network is seen where the network is: that it does not answer, and what it settled for all hosts."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from networks.cnm.facts import HostFacts
from networks.cnm.plugins import Plugin
from networks.cnm.text import Text
from networks.models import Network, User
from tests.testlib.world import World

SILENT = "It does not answer."


@pytest.fixture
def page(world: World) -> Client:
    see(world)
    world.network("near")
    world.network("far", driver="weave")
    Network.objects.filter(name="far").update(driver_state={"com.example.vlan": "seventeen"})
    client = Client()
    client.force_login(User.objects.create_user(username="vera", password="x", role="viewer"))
    return client


def see(world: World, **state: Any) -> None:
    """The host's worker sees the plugin so."""
    weave = Plugin(
        name="weave", address="unix:///run/docker/plugins/weave.sock", implements=("NetworkDriver",), **state
    )
    world.host.facts = HostFacts(plugins=(weave,)).to_json()
    world.host.save()


def main(page: Client, path: str, language: str = "en") -> str:
    text = page.get(path, headers={"Accept-Language": language}).content.decode()
    return text.partition("<main")[2].partition("</main>")[0]


def row(page: Client, name: str, query: str = "") -> str:
    rows = main(page, f"/networks/{query}").partition("<tbody>")[2].split("<tr ")
    return next((one for one in rows if f"/networks/{name}/" in one), "")


def test_a_list_tells_the_networks_whose_plugin_does_not_answer(world: World, page: Client) -> None:
    assert "degraded" not in main(page, "/networks/")
    see(world, problem=Text.of(SILENT), since="2026-05-06T07:08:09+00:00", owed=2)
    far = row(page, "far")
    assert "ready" in far
    assert ">degraded<" in far
    assert "#alert-triangle" in far, "by an icon, too"
    assert "Plugin weave" in far
    assert "degraded" not in row(page, "near")
    assert (bool(row(page, "far", "?state=degraded")), row(page, "near", "?state=degraded")) == (True, "")
    assert ">异常<" in main(page, "/networks/", "zh-hans")


def test_a_networks_page_tells_why_and_what_is_owed(world: World, page: Client) -> None:
    assert "degraded" not in main(page, "/networks/far/")
    see(world, problem=Text.of(SILENT), since="2026-05-06T07:08:09+00:00", owed=2)
    text = main(page, "/networks/far/")
    assert ">degraded<" in text.partition("</h1>")[0]
    assert SILENT in text
    assert "2 things that it made are gone" in text


def test_a_networks_page_tells_what_its_plugin_settled_for_all_hosts(page: Client) -> None:
    text = main(page, "/networks/far/")
    assert "Settled by plugin weave for all hosts" in text
    assert "com.example.vlan" in text
    assert "seventeen" in text
    assert "插件 weave 为所有主机确定的内容" in main(page, "/networks/far/", "zh-hans")
    assert "Settled by" not in main(page, "/networks/near/")
