"""All rules with owner and reason: narrowed by each of their sides, and made anew only when something changed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from networks import audit, caught_up, provenance, repairs, rule_filters, settle, tracing
from networks.cnm.facts import HostFacts
from networks.cnm.rules import Rule
from networks.cnm.text import Text
from networks.load import load_facts, load_host
from networks.models import Drift, Host, Network, Observation, Operation, User
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


def test_a_look_that_does_not_come_is_asked_for_and_waited_for_no_longer_than_a_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(world, "-A CNM -j RETURN")
    monkeypatch.setattr(caught_up, "PATIENCE_S", 0.4)
    asked: list[object] = []
    monkeypatch.setattr(caught_up, "send", lambda *said: bool(asked.append(said)) or True)
    assert caught_up.wait_for_look(world.host)
    world.network("late")
    last = Operation.objects.order_by("-number").first()
    assert last is not None
    last.finished_at = timezone.now()
    last.save(update_fields=["finished_at"])
    Host.objects.filter(pk=world.host.pk).update(heartbeat_at=timezone.now())
    world.host.refresh_from_db()
    assert not caught_up.wait_for_look(world.host)
    assert asked == [("worker.tasks.notice", world.host.name, "kernel", {"what": ["pages"]})]
    # It is asked for however long ago that was: a look that costs much is not taken by itself.
    last.finished_at = timezone.now() - timedelta(minutes=1)
    last.save(update_fields=["finished_at"])
    Observation.objects.update(at=timezone.now() - timedelta(hours=1))
    asked.clear()
    monkeypatch.setattr(caught_up, "send", lambda *said: Observation.objects.update(at=timezone.now()))
    assert caught_up.wait_for_look(world.host)
    # Of a host whose worker is away nothing is expected.
    Observation.objects.update(at=timezone.now() - timedelta(hours=1))
    Host.objects.filter(pk=world.host.pk).update(heartbeat_at=timezone.now() - timedelta(hours=1))
    world.host.refresh_from_db()
    monkeypatch.setattr(caught_up.time, "sleep", lambda seconds: pytest.fail("nobody is there who would look"))
    assert not caught_up.wait_for_look(world.host)


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
    assert 'aria-rowcount="10001"' in last
    # Where there is script, the rows come as they are scrolled to.
    part = browser.get("/firewall/rows/?first=9951&last=99999")
    assert part["X-Found"] == "10000"
    assert [at for at in ("9952", "10001", "9951", "10002") if f'aria-rowindex="{at}"' in part.content.decode()] == [
        "9952",
        "10001",
    ]
    for first, last in (("1", "9999"), ("0", "5"), ("-1", "x"), ("10001", "10002"), ("9" * 30, "")):
        assert browser.get("/firewall/rows/", {"first": first, "last": last}).content.count(b"<tr") <= 200
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


def test_the_last_change_is_found_below_many_operations_that_wait_or_change_no_rule(world: World) -> None:
    seen(world, "-A CNM -j RETURN")
    world.network("late")
    changed, at = Operation.objects.latest("number"), timezone.now()
    Operation.objects.filter(pk=changed.pk).update(finished_at=at)
    for beside in range(25):
        ended = {"queue": "slow", "finished_at": at - timedelta(hours=1)} if beside % 2 else {}
        Operation.objects.create(host=world.host, number=changed.number + 1 + beside, verb="image.pull", **ended)
    assert not caught_up.is_current(world.host, at - timedelta(seconds=1))
    assert caught_up.is_current(world.host, at)


def test_a_trace_is_as_current_as_the_rows_that_it_rests_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that the worker stores while the trace is being reckoned is not what the trace saw."""
    seen(world, "-A CNM -j RETURN")
    Observation.objects.create(host=world.host, kind="world", data={}, generation="1")
    world.network("late")
    Operation.objects.update(finished_at=timezone.now())
    reckon = tracing.trace

    def reckoned_slowly(*asked: Any) -> Any:
        Observation.objects.update(at=timezone.now())
        return reckon(*asked)

    monkeypatch.setattr(tracing, "trace", reckoned_slowly)
    question = tracing.Request(source="host", destination="127.0.0.1", port=80)
    assert not tracing.answer(world.host, question).current
    assert tracing.answer(world.host, question).current
