"""The audit's pages: a traced packet, exposed ports, findings, and saved rules of other hosts."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from networks.cnm.facts import Feature, HostFacts
from networks.cnm.text import Text
from networks.models import Container, Network, User
from tests.api.test_audit import _row, see, two_networks
from tests.testlib.world import World

pytestmark = pytest.mark.django_db
CHINESE = {"Accept-Language": "zh-CN"}


@pytest.fixture
def browser(world: World) -> Client:
    client = Client()
    client.force_login(User.objects.create_user(username="vera", password="x", role="operator"))
    return client


def test_a_refused_packet_is_shown_with_the_rule_its_owner_and_what_helps(world: World, browser: Client) -> None:
    two_networks(world)
    page = browser.get("/firewall/trace/", {"from": "web", "to": "db", "port": "5432"})
    text = page.content.decode()
    assert page.status_code == 200
    assert "dropped" in text
    assert 'class="decides"' in text
    assert "db on back" in text
    assert "Connect container web to network back" in text
    assert "/containers/web/connect/" in text


def test_a_question_that_is_refused_keeps_what_was_typed(world: World, browser: Client) -> None:
    two_networks(world)
    page = browser.get("/firewall/trace/", {"from": "nobody", "to": "db", "port": "5432"})
    assert page.status_code == 404
    assert 'value="nobody"' in page.content.decode()
    assert "is no container of this host" in page.content.decode()
    assert browser.get("/firewall/trace/", {"from": "web", "to": "db", "port": "many"}).status_code == 400


def test_the_firewall_page_begins_with_what_was_found(world: World, browser: Client) -> None:
    world.container("web", ports=[{"container_port": 80, "host_port": 8080}])
    see(world, more=(_row("filter", "FORWARD", "-A FORWARD -j ACCEPT"),))
    text = browser.get("/firewall/").content.decode()
    assert "A rule that is not ours decides before one of ours: -A FORWARD -j ACCEPT" in text


def test_an_objects_page_lists_its_rules_and_what_else_in_the_kernel_is_its(world: World, browser: Client) -> None:
    two_networks(world)
    page = unescape(browser.get("/containers/web/", {"tab": "rules"}).content.decode())
    rules, _, rest = page.partition("What else belongs to it")
    assert "--dport 8080" in rules
    assert "goes to port 80 of container web" in rules
    assert "Asked for by " in rules
    assert "--to-destination" not in rest
    name = f"cnm-{Container.objects.get(name='web').pk[:12]}"
    assert name in rest
    of_network = unescape(browser.get("/networks/back/", {"tab": "rules"}).content.decode())
    rules, _, rest = of_network.partition("What else belongs to it")
    bridge = f"br-{Network.objects.get(name='back').pk[:12]}"
    assert f"-o {bridge}" in rules
    assert "--dport 8080" not in rules
    assert bridge in rest


def test_exposed_ports_are_listed_with_where_they_are_reached(world: World, browser: Client) -> None:
    two_networks(world)
    text = browser.get("/firewall/exposure/").content.decode()
    assert "8080/tcp" in text
    assert "<code>192.0.2.2</code> (eth0): <strong>allowed</strong>" in text


def test_reasons_are_told_in_the_readers_language_whoever_asked_before(world: World, browser: Client) -> None:
    two_networks(world)
    facts = HostFacts.from_json(world.host.facts)
    missing = Feature(key="esp", present=False, detail=Text.of("No IPsec ESP: {complaint}", complaint="refused"))
    world.host.facts = replace(facts, features=(missing,)).to_json()
    world.host.save()
    english, chinese = "Lets traffic to the published port 80/tcp of container web in.", "容器 web 的已发布端口 80/tcp"
    assert english in browser.get("/firewall/").content.decode()
    shown = browser.get("/firewall/", {"q": chinese}, headers=CHINESE).content.decode()
    assert chinese in shown
    assert english not in shown
    assert "应答也能返回" in browser.get("/firewall/exposure/", headers=CHINESE).content.decode()
    assert "没有 IPsec ESP：refused" in browser.get("/host/", headers=CHINESE).content.decode()
    rules = browser.get("/api/v1/firewall/rules", {"q": "container web in"}).json()["results"]
    assert english in {rule["why"] for rule in rules}


def test_saved_rules_are_audited_from_a_file(world: World, browser: Client) -> None:
    saved = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -j ufw-before-forward\nCOMMIT\n"
    file = SimpleUploadedFile("rules.txt", saved.encode())
    text = browser.post("/firewall/dump/", {"iptables_save_file": file, "flavour": "iptables-legacy"}).content.decode()
    assert "-A FORWARD -j ufw-before-forward" in text
    assert "The policy of ip filter FORWARD (iptables-legacy) is drop" in text
    assert browser.post("/firewall/dump/", {"flavour": "iptables-legacy"}).status_code == 400
