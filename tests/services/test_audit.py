"""All rules with owner and reason: narrowed by each of their sides, and made anew only when something changed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from networks import audit, provenance, repairs, rule_filters, settle
from networks.cnm.facts import HostFacts
from networks.cnm.rules import Rule
from networks.cnm.text import Text
from networks.load import load_facts, load_host
from networks.models import Drift, Network, Observation, Operation, User
from networks.services import networks, ports
from networks.services.spec_container import AttachRequest
from networks.services.spec_ports import PortRequest
from tests.testlib.world import OPERATOR, World
from worker.compile import compile_host

RULES = (
    "-A CNM ! -i cnm0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
    "-A CNM -p tcp -m tcp --dport 9000:9100 -j DNAT --to-destination 172.17.0.3:9000-9100",
    "-A CNM -p tcp -m multiport --dports 22,443 -j ACCEPT",
    "-A CNM -d 10.80.0.0/16 -j ACCEPT",
)


def seen(world: World, *texts: str) -> None:
    rules = [
        {"flavour": "iptables-nft", "family": 4, "table": "nat", "chain": "CNM", "position": n, "text": text}
        | {"packets": 0, "bytes": 0, "tag": ""}
        for n, text in enumerate(texts)
    ]
    Observation.objects.update_or_create(
        host=world.host, kind="rules", defaults={"data": {"rules": rules, "chains": []}, "generation": timezone.now()}
    )


@pytest.mark.parametrize(
    ("port", "found"), [("8080", [0]), ("80", [0]), ("9050", [1]), ("443", [2]), ("4", []), ("x", [])]
)
def test_rules_are_found_by_a_port_in_any_spelling(world: World, port: str, found: list[int]) -> None:
    seen(world, *RULES)
    assert [rule["position"] for rule in rule_filters.filtered(audit.rules(world.host), port=port)] == found


def test_the_answer_follows_the_kernel_and_the_desired_state(world: World) -> None:
    container = world.container("web")
    seen(world, RULES[0])
    assert audit.rules(world.host)[0]["owner"] is None
    ports.publish(OPERATOR, container, [PortRequest(container_port=80, host_port=8080)])
    world.work()
    wanted = compile_host(load_host(world.host), load_facts(world.host))
    text = next(rule.text for rule in wanted if isinstance(rule, Rule) and "--dport 8080" in rule.text)
    seen(world, text)
    (rule,) = audit.rules(world.host)
    assert rule["owner"]["kind"] == "port"
    assert (rule["made"]["by"], rule["made"]["verb"]) == (OPERATOR.name, "port.publish")
    seen(world)
    assert audit.rules(world.host) == []


def test_each_rule_says_by_which_request_its_owner_was_asked_for(world: World) -> None:
    world.network("app")
    container = world.container("web", network="app", ports=[{"container_port": 80, "host_port": 8080}])
    vera, bridge = replace(OPERATOR, name="vera", request_id="r-7"), Network.objects.get(name="bridge")
    networks.connect(vera, bridge, container, AttachRequest(network="bridge"))
    world.work()
    made = provenance.makers(world.host, load_host(world.host, as_if_kept=True))
    by_network = {endpoint.network.name: made[endpoint.pk] for endpoint in container.endpoints.all()}
    assert by_network["app"]["verb"] == made[container.ports.get().pk]["verb"] == "container.run"
    assert (by_network["bridge"]["by"], by_network["bridge"]["request_id"]) == ("vera", "r-7")
    assert by_network["bridge"]["verb"] == "network.connect"
    assert made[Network.objects.get(name="app").pk]["verb"] == "network.create"


def test_rules_that_were_never_hit_and_the_busiest_are_found_on_the_page(world: World) -> None:
    seen(world, *RULES)
    row = Observation.objects.get(host=world.host, kind="rules")
    for number, rule in enumerate(row.data["rules"]):
        rule["packets"] = number * 5
    row.save()
    User.objects.create_user(username="vera", password="only-looking-around", role="viewer")
    browser = Client()
    browser.login(username="vera", password="only-looking-around")
    page = browser.get("/firewall/", {"hits": "never"}).content.decode()
    assert page.count('class="rule-text"') == 1
    page = browser.get("/firewall/", {"sort": "-packets"}).content.decode()
    texts = re.findall(r'class="rule-text">([^<]+)', page)
    assert [unescape(text) for text in texts] == list(reversed(RULES))


def test_ten_thousand_rules_come_in_pages_with_the_chain_of_each(world: World) -> None:
    seen(world, *(f"-A CNM -d 10.{n // 250}.{n % 250}.1/32 -j ACCEPT" for n in range(10_000)))
    User.objects.create_user(username="vera", password="only-looking-around", role="viewer")
    browser = Client()
    browser.login(username="vera", password="only-looking-around")
    first = browser.get("/firewall/").content.decode()
    assert "10.0.0.1/32" in first
    assert "10.39.249.1/32" not in first
    assert first.count('class="rule-text"') == 300
    last = browser.get("/firewall/?page=34").content.decode()
    assert "10.39.249.1/32" in last
    narrowed = browser.get("/firewall/?q=10.39.249.").content.decode()
    assert narrowed.count('class="rule-text"') == 1


def test_the_pages_say_which_firewall_was_chosen_and_why_and_what_is_odd(world: World) -> None:
    facts = HostFacts(
        firewall_flavour="nftables",
        firewall_reason=Text.of("CNM_FIREWALL asks for {flavour}.", flavour="nftables"),
        firewall_warning=Text.of("{other} drops.", other="iptables-nft"),
    )
    assert HostFacts.from_json(facts.to_json()) == facts
    world.host.facts, world.host.firewall_backend = facts.to_json(), "nftables"
    world.host.save()
    inet = {"flavour": "nftables", "family": 0, "table": "inet guests", "chain": "forward", "position": 1}
    ours = {"flavour": "nftables", "family": 4, "table": "filter", "chain": "FORWARD", "position": 1}
    foreign = ours | {"flavour": "iptables-nft", "text": "-A FORWARD -i eth9 -j DROP"}
    rules = [ours | {"text": "-A FORWARD -j CNM-USER"}, foreign, inet | {"text": 'iifname "eth7" drop'}]
    data = {"rules": [rule | {"packets": 0, "bytes": 0, "tag": ""} for rule in rules], "chains": []}
    Observation.objects.create(host=world.host, kind="rules", data=data, generation="1")
    User.objects.create_user(username="vera", password="only-looking-around", role="viewer")
    browser = Client()
    browser.login(username="vera", password="only-looking-around")
    for page in ("/host/", "/firewall/"):
        text = browser.get(page).content.decode()
        assert "CNM_FIREWALL asks for nftables." in text
        assert "iptables-nft drops." in text
    # What stands in one chain of two backends is two chains; a table of both families is found under either.
    assert text.count('class="card ruleset"') == 3
    assert "inet guests" in browser.get("/firewall/?family=6").content.decode()


def test_two_programs_do_not_fight_for_ever_and_the_page_says_so(world: World) -> None:
    world.host.settings = {**world.host.settings, "auto_repair": True}
    world.host.save()
    for _ in range(repairs.REPAIRS_PER_HOUR - 1):
        settle.open_operation(world.host, "host.repair", scope={"all": True})
    assert repairs.may_repair(world.host)
    last = settle.open_operation(world.host, "host.repair", scope={"all": True})
    assert not repairs.may_repair(world.host)
    owner = {"kind": "host", "id": "", "name": ""}
    Drift.objects.create(host=world.host, key="x", kind="missing", resource_kind="rule", text="-A X", owner=owner)
    User.objects.create_user(username="vera", password="only-looking-around", role="viewer")
    browser = Client()
    browser.login(username="vera", password="only-looking-around")
    assert "another program seems to undo it" in browser.get("/drift/").content.decode()
    Operation.objects.filter(pk=last.pk).update(created_at=timezone.now() - timedelta(hours=2))
    assert repairs.may_repair(world.host)
    assert "is repaired by itself" in browser.get("/drift/").content.decode()
