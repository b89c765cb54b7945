"""The past: any kept moment is as it was, what differs between two is named with its cause, and it is bounded."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from networks import feed, history, represent, retention
from networks.cnm.errors import NotFound
from networks.models import Checkpoint, Event, FeedCounter, Host, Network, RulesVersion
from networks.services import containers, networks
from networks.services.find import find_container
from networks.services.spec_container import AttachRequest
from tests.testlib.world import OPERATOR, World


def state_now() -> Any:
    everything = represent.everything()
    return {kind: everything.get(kind, {}) for kind in history.KINDS}


def then() -> datetime:
    """A moment between what was and what comes."""
    return timezone.now()


def test_a_moment_is_as_it_was_whatever_happened_since(world: World) -> None:
    assert history.keep()
    world.network("app")
    web = world.container("web", network="app")
    moment, before = then(), state_now()
    world.ends(web)
    world.network("later")
    number, state = history.state_at(moment)
    assert state == before
    assert number < FeedCounter.objects.get().last
    assert history.state_at(then())[1] == state_now()


def test_a_checkpoint_made_of_the_one_before_is_what_a_fresh_one_would_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "EVERY", 3)
    assert history.keep()
    assert not history.keep(), "nothing happened"
    world.network("app")
    world.container("web", network="app")
    moment, before = then(), state_now()
    assert history.keep()
    assert Checkpoint.objects.count() == 2
    Event.objects.all().delete()
    assert history.state_at(moment + timedelta(seconds=1))[1] == before


def test_a_moment_before_all_that_is_kept_is_refused(world: World) -> None:
    with pytest.raises(NotFound):
        history.state_at(then())
    history.keep()
    with pytest.raises(NotFound, match="begins at"):
        history.state_at(then() - timedelta(days=400))


def test_what_changed_is_named_with_its_fields_and_who_did_it(world: World) -> None:
    world.network("app")
    web = world.container("web")
    history.keep()
    since = then()
    networks.connect(
        OPERATOR, Network.objects.get(name="app"), find_container(world.host, "web"), AttachRequest(network="app")
    )
    world.work()
    world.network("new")
    containers.stop_container(OPERATOR, web)
    world.work()
    found = {one["name"]: one for one in history.between([world.host], since, then())["changes"]}
    assert set(found) == {"web", "new"}
    assert found["new"]["sign"] == "+"
    fields = {field["name"]: (field["before"], field["after"]) for field in found["web"]["fields"]}
    assert fields["state"] == ("running", "exited")
    assert "app" in fields["endpoints"][1]
    assert "app" not in fields["endpoints"][0]
    causes = [(cause["verb"], cause["by"]) for cause in found["web"]["causes"]]
    assert ("container.stop", "olga") in causes
    assert [(cause["verb"], cause["by"]) for cause in found["new"]["causes"]] == [("network.create", "olga")]


def rules(*texts: str) -> dict[str, Any]:
    place = {"flavour": "iptables-nft", "family": 4, "table": "filter", "chain": "FORWARD"}
    return {"rules": [{**place, "text": text, "tag": "", "packets": 1, "bytes": 2} for text in texts]}


def test_rules_of_then_and_what_came_and_went_with_the_program_that_was_seen(world: World) -> None:
    history.keep()
    history.keep_rules(world.host, rules("-A FORWARD -j A", "-A FORWARD -j B"), "g1", "")
    since = then()
    history.keep_rules(world.host, rules("-A FORWARD -j B", "-A FORWARD -j C"), "g2", "iptables (77)")
    assert [rule["text"] for rule in history.rules_at(world.host, since)["rules"]] == [
        "-A FORWARD -j A",
        "-A FORWARD -j B",
    ]
    found = history.between([world.host], since, then())["rules"]
    assert [rule["text"] for rule in found["added"]] == ["-A FORWARD -j C"]
    assert [rule["text"] for rule in found["removed"]] == ["-A FORWARD -j A"]
    assert found["writers"] == ["iptables (77)"]
    two = Host.objects.create(name="two")
    both = history.between([world.host, two], since, then())["rules"]
    assert (both["added"], both["unknown"]) == (found["added"], ["two"]), "of one host nothing is kept: that is said"
    history.keep_rules(two, rules("-A FORWARD -j A"), "g1", "")
    since = then()
    history.keep_rules(two, rules("-A FORWARD -j D"), "g2", "nft (8)")
    both = history.between([world.host, two], since, then())["rules"]
    assert [(rule["host"], rule["text"]) for rule in both["added"]] == [("two", "-A FORWARD -j D")]
    assert (both["writers"], both["unknown"]) == (["nft (8)"], [])


def test_the_past_goes_with_its_events_and_rules_when_they_take_too_much_room(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "EVERY", 1)
    settings.KEEP_EVENTS = 4
    for number in range(6):
        history.keep()
        world.network(f"n{number}")
        history.keep_rules(world.host, rules(f"-A FORWARD -s 10.0.0.{number} -j A"), str(number), "")
    history.keep()
    retention.forget_history(world.host)
    first = Event.objects.order_by("number").values_list("number", flat=True)[0]
    assert Checkpoint.objects.order_by("number").values_list("number", flat=True)[0] >= first - 1
    assert history.state_at(then())[1] == state_now()
    assert RulesVersion.objects.count() == 6
    history.forget(1)
    assert [version.generation for version in RulesVersion.objects.all()] == ["5"], "the last one stays"


def test_another_epoch_has_no_past(world: World) -> None:
    world.network("app")
    history.keep()
    FeedCounter.objects.update(epoch="restored")
    with feed.transaction("somebody"):
        feed.put("network", Network.objects.get(name="app"))
    assert history.keep()
    assert [one.epoch for one in Checkpoint.objects.all()] == ["restored"]
