"""The keys of encrypted networks: made when hosts meet, exchanged without a gap, never used twice, and in no place where people look."""

from __future__ import annotations

import base64
import random
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from networks import associations, feed, history, represent
from networks.cnm.associations import spi_of
from networks.cnm.errors import Conflict, Forbidden, Unsupported
from networks.cnm.facts import Feature
from networks.cnm.text import Text
from networks.load import load_facts
from networks.models import Activity, Container, Host, Network, Operation, SecurityAssociation, User
from networks.sealing import seal, unseal
from networks.services import containers
from networks.services import networks as network_services
from networks.services.network_changes import update_network
from networks.services.spec_container import read_container
from networks.services.spec_network import NetworkChanges, read_network
from tests.testlib.imagined import Imagined
from tests.testlib.world import OPERATOR

pytestmark = pytest.mark.django_db


@pytest.fixture
def hosts(db: None, monkeypatch: pytest.MonkeyPatch) -> list[Imagined]:
    """Three hosts with an encrypted network and nobody on it."""
    monkeypatch.setattr(associations, "GRACE", timedelta(0))
    made = [Imagined(number) for number in (1, 2, 3)]
    body = {"name": "app", "driver": "overlay", "options": {"encrypted": ""}}
    network_services.create_network(OPERATOR, made[0].row, read_network(body))
    made[0].work()
    return made


def run(host: Imagined) -> None:
    body = {"name": f"on-{host.name}", "kind": "sandbox", "network": "app"}
    containers.run_container(OPERATOR, host.row, read_container(body))


def settle_down(hosts: list[Imagined]) -> None:
    """All workers work until nothing waits, and nothing is to be done now and then either."""
    for _ in range(10):
        for host in hosts:
            associations.tend(host.row)
        if not sum(host.work() for host in hosts):
            return
    raise AssertionError([f"{row.verb} of {row.host}" for row in Operation.objects.filter(state="pending")])


def everybody_on(hosts: list[Imagined]) -> None:
    for host in hosts:
        run(host)
    settle_down(hosts)


def all_reach(hosts: list[Imagined]) -> bool:
    return all(one.reaches(other) for one, other in permutations(hosts, 2))


def rotate() -> int:
    with feed.transaction("anna"):
        return associations.rotate()


def test_each_direction_of_each_pair_that_meets_has_a_key_of_its_own(hosts: list[Imagined]) -> None:
    run(hosts[0])
    settle_down(hosts)
    assert not SecurityAssociation.objects.exists(), "it met nobody"
    run(hosts[1])
    settle_down(hosts)
    assert hosts[0].reaches(hosts[1])
    assert hosts[1].reaches(hosts[0])
    assert not hosts[2].kernel.states
    run(hosts[2])
    settle_down(hosts)
    assert all_reach(hosts)
    rows = list(SecurityAssociation.objects.all())
    assert len(rows) == len({row.fingerprint for row in rows}) == 6
    assert all(len(host.kernel.states) == 4 for host in hosts)


def test_a_network_in_the_clear_makes_no_keys(hosts: list[Imagined]) -> None:
    body = read_network({"name": "open", "driver": "overlay"})
    network_services.create_network(OPERATOR, hosts[0].row, body)
    for host in hosts:
        spec = {"name": f"open-{host.name}", "kind": "sandbox", "network": "open"}
        containers.run_container(OPERATOR, host.row, read_container(spec))
    settle_down(hosts)
    assert not SecurityAssociation.objects.exists()


def test_an_exchange_has_three_steps_and_no_packet_is_lost_at_any(hosts: list[Imagined]) -> None:
    everybody_on(hosts)
    old = {row.pk for row in SecurityAssociation.objects.all()}
    sending = {(one, two): one_sends(hosts, one, two) for one, two in permutations(range(3), 2)}
    assert rotate() == 6
    assert rotate() == 0, "one is under way"
    spis = [host.kernel.states for host in hosts]
    for host in hosts:
        host.work(1)  # each takes in what the others will send by
        assert all_reach(hosts)
    assert all(row.held_at for row in SecurityAssociation.objects.all())
    assert all(set(before) < set(host.kernel.states) for before, host in zip(spis, hosts, strict=True))
    for host in hosts:
        host.work(1)
        assert all_reach(hosts)
    after = {(one, two): one_sends(hosts, one, two) for one, two in permutations(range(3), 2)}
    assert all(after[pair] != sending[pair] for pair in sending), "everybody sends by the new ones"
    settle_down(hosts)
    assert all_reach(hosts)
    left = {row.pk for row in SecurityAssociation.objects.all()}
    assert len(left) == 6
    assert not left & old
    assert all(len(host.kernel.states) == 4 for host in hosts)


def one_sends(hosts: list[Imagined], one: int, two: int) -> tuple[str, str, int] | None:
    return hosts[one].kernel.sends_by(hosts[one].address, hosts[two].address)


def test_a_host_that_is_cut_off_keeps_nobody_waiting_and_catches_up(hosts: list[Imagined]) -> None:
    everybody_on(hosts)
    there, lost = hosts[:2], hosts[2]
    lost.speak(alive=False)
    before = one_sends(hosts, 0, 2)
    for _ in range(3):
        rotate()
        for _ in range(4):
            for host in there:
                associations.tend(host.row)
                host.work()
                assert all_reach(hosts), "with the keys that it has, the one that is cut off goes on"
    assert one_sends(hosts, 0, 2) == before
    pair = SecurityAssociation.objects.filter(sender=hosts[0].row)
    assert pair.filter(receiver=hosts[1].row).get().made_at > pair.filter(receiver=lost.row).first().made_at  # type: ignore[union-attr]
    lost.speak()
    assert Operation.objects.filter(host=lost.row, state="pending").count() == 1
    settle_down(hosts)
    assert all_reach(hosts)
    assert one_sends(hosts, 0, 2) != before
    assert SecurityAssociation.objects.count() == 6


def test_a_host_that_lost_its_keys_never_writes_one_again(hosts: list[Imagined]) -> None:
    everybody_on(hosts)
    hosts[0].reboot()
    settle_down(hosts)
    assert all_reach(hosts)
    hosts[1].lose_keys()
    run_again = Operation.objects.create(
        number=Operation.objects.next_number(), host=hosts[1].row, verb="host.repair", scope={"all": True}
    )
    settle_down(hosts)
    assert all_reach(hosts)
    assert Operation.objects.get(pk=run_again.pk).state == "done"
    for host in hosts:
        assert len(host.kernel.sent_by) == len(set(host.kernel.sent_by))


def test_who_leaves_takes_its_keys_along(hosts: list[Imagined]) -> None:
    everybody_on(hosts)
    containers.remove_container(OPERATOR, Container.objects.get(name="on-h3"), force=True)
    settle_down(hosts)
    assert SecurityAssociation.objects.filter(sender=hosts[2].row).count() == 0
    assert not hosts[2].kernel.states
    assert [len(host.kernel.states) for host in hosts] == [2, 2, 0]
    run(hosts[2])
    settle_down(hosts)
    assert all_reach(hosts)


def test_who_leave_at_the_same_moment_leave_nothing_behind(hosts: list[Imagined]) -> None:
    everybody_on(hosts)
    for host in hosts:
        containers.remove_container(OPERATOR, Container.objects.get(name=f"on-{host.name}"), force=True)
    settle_down(hosts)
    assert not SecurityAssociation.objects.exists()
    for host in hosts:
        assert not [key for key in host.kernel.held if key[0] in {"xfrm-state", "xfrm-policy", "forwarding", "name"}]


def test_what_nobody_ever_sent_by_is_forgotten_when_they_part(hosts: list[Imagined]) -> None:
    SecurityAssociation.objects.create(sender=hosts[0].row, receiver=hosts[1].row, sealed="x", fingerprint="x")
    associations.tend(hosts[1].row)
    assert SecurityAssociation.objects.exists(), "it is for the sender to tell"
    associations.tend(hosts[0].row)
    assert not SecurityAssociation.objects.exists()


def test_a_key_is_exchanged_by_itself_when_it_is_old(hosts: list[Imagined], monkeypatch: pytest.MonkeyPatch) -> None:
    everybody_on(hosts)
    before = set(SecurityAssociation.objects.values_list("pk", flat=True))
    settle_down(hosts)
    assert set(SecurityAssociation.objects.values_list("pk", flat=True)) == before
    monkeypatch.setattr(settings, "KEY_ROTATION_HOURS", 0)
    associations.tend(hosts[0].row)
    monkeypatch.setattr(settings, "KEY_ROTATION_HOURS", 24)
    settle_down(hosts)
    after = SecurityAssociation.objects.exclude(pk__in=before)
    assert [row.sender for row in after] == [hosts[0].row] * 2


@pytest.mark.parametrize("seed", range(2))
def test_whatever_comes_in_any_order_who_was_reached_stays_reached(hosts: list[Imagined], seed: int) -> None:
    """Exchanges, hosts that fall silent, restart, lose keys, come and go: none interrupts a pair that it is not about."""
    chance = random.Random(seed)
    everybody_on(hosts)
    silent: set[int] = set()
    stands: set[tuple[int, int]] = set()
    for _ in range(70):
        at = chance.randrange(3)
        host, what = (
            hosts[at],
            chance.choice(["work"] * 9 + ["tend", "tend", "rotate", "silence", "leave", "reboot", "flush"]),
        )
        about: set[int] = set()
        if what == "silence":
            silent ^= {at}
            host.speak(alive=at not in silent)
        elif what == "rotate":
            rotate()
        elif at in silent:
            continue
        elif what == "work":
            host.work(1)
        elif what == "tend":
            associations.tend(host.row)
        elif what == "reboot":
            about = {at}
            host.reboot()
        elif what == "flush":
            about = {at}
            host.lose_keys()
        elif (found := Container.objects.filter(name=f"on-{host.name}").first()) is None:
            run(host)
        elif found.wanted == "running":
            about = {at}
            containers.remove_container(replace(OPERATOR, queue_anyway=True), found, force=True)
        if about:
            stands = {pair for pair in stands if not set(pair) & about}
        reached = {(a, b) for a, b in permutations(range(3), 2) if hosts[a].reaches(hosts[b])}
        assert stands <= reached, (seed, what, at)
        stands = {pair for pair in reached if is_wanted(hosts, *pair)}
    for host in hosts:
        host.speak()
    settle_down(hosts)
    for host in hosts:
        if not Container.objects.filter(name=f"on-{host.name}").exists():
            run(host)
    settle_down(hosts)
    rotate()
    settle_down(hosts)
    assert all_reach(hosts)
    assert SecurityAssociation.objects.count() == 6
    for host in hosts:
        assert len(host.kernel.states) == 4
        assert len(host.kernel.sent_by) == len(set(host.kernel.sent_by)), "no key was written twice to send by"


def is_wanted(hosts: list[Imagined], one: int, two: int) -> bool:
    """Whether both have somebody there, and no operation waits that takes one away."""
    names = [f"on-{hosts[at].name}" for at in (one, two)]
    return Container.objects.filter(name__in=names, wanted="running").count() == 2


def texts_of_the_database() -> Iterator[str]:
    for model in apps.get_app_config("networks").get_models():
        for row in model._default_manager.all().values():
            packed = row.pop("data") if isinstance(row.get("data"), bytes | memoryview) else b""
            yield f"{model.__name__} {row} {zlib.decompress(packed).decode() if packed else ''}"


TOLD = (
    "hosts",
    "hosts/h1",
    "networks",
    "associations?host=h1",
    "operations?host=h1&page_size=200",
    "activity",
    "drift?host=h1",
    "topology?host=h1&format=yaml",
    "history?host=h1",
    "history/state?host=h1&at=2100-01-01T00:00:00Z",
    "events?since=0&epoch=none",
)


def texts_of_the_api() -> Iterator[str]:
    admin = Client()
    admin.force_login(User.objects.create_user(username="anna", password="x", role="admin"))
    for path in TOLD:
        answer = admin.get(f"/api/v1/{path}")
        assert answer.status_code == 200, (path, answer.content)
        yield f"GET {path} {answer.content.decode()}"
    for operation in Operation.objects.filter(host__name="h1"):
        yield f"GET operations {admin.get(f'/api/v1/operations/{operation.pk}').content.decode()}"
    yield f"page {admin.get('/host/').content.decode()}"


def test_no_key_is_in_any_row_answer_event_plan_or_log(hosts: list[Imagined], caplog: pytest.LogCaptureFixture) -> None:
    everybody_on(hosts)
    rotate()
    settle_down(hosts)
    rows = SecurityAssociation.objects.select_related("sender", "receiver")
    keys = [unseal(row.sealed, row.sender.name, row.receiver.name) for row in rows]
    assert {len(key) for key in keys} == {36}
    spellings = [word for key in keys for word in (key.hex(), base64.b64encode(key).decode(), repr(key)[2:-1])]
    assert history.keep()
    found = [*texts_of_the_api(), *texts_of_the_database()]
    for begins in ("Operation", "GET operations"):
        assert any("xfrm-state" in text for text in found if text.startswith(begins)), "plans have the states"
    assert any(text.startswith("Checkpoint") and "app" in text for text in found)
    for text in (*found, caplog.text):
        assert not [word for word in spellings if word in text]
    sealed = [row.sealed for row in rows]
    for text in found:
        if not text.startswith("SecurityAssociation"):
            assert not [word for word in sealed if word in text], "nor is it anywhere but in its own row"


def test_a_sealed_key_opens_for_its_pair_and_under_its_secret_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    key = bytes(range(36))
    sealed = seal(key, "one", "two")
    assert seal(key, "one", "two") != sealed
    assert unseal(sealed, "one", "two") == key
    for pair in (("two", "one"), ("one", "three")):
        with pytest.raises(Conflict, match="cannot be opened"):
            unseal(sealed, *pair)
    with pytest.raises(Conflict, match="cannot be opened"):
        unseal("", "one", "two")
    monkeypatch.setattr(settings, "SECRET_KEY", "another")
    with pytest.raises(Conflict, match="CNM_SECRET_KEY"):
        unseal(sealed, "one", "two")


def test_keys_that_cannot_be_opened_are_made_anew(hosts: list[Imagined], monkeypatch: pytest.MonkeyPatch) -> None:
    everybody_on(hosts)
    before = {row.pk for row in SecurityAssociation.objects.all()}
    monkeypatch.setattr(settings, "SECRET_KEY", "another")
    for host in hosts:
        associations.renew_unreadable(host.row)
    settle_down(hosts)
    after = list(SecurityAssociation.objects.select_related("sender", "receiver"))
    assert len(after) == 6
    assert not before & {row.pk for row in after}
    assert all(unseal(row.sealed, row.sender.name, row.receiver.name) for row in after)
    assert all_reach(hosts)


def test_the_page_shows_the_keys_lives_and_an_admin_exchanges_them(hosts: list[Imagined]) -> None:
    everybody_on(hosts)
    first = SecurityAssociation.objects.filter(sender=hosts[0].row).first()
    assert first is not None
    spi = f"{spi_of(first.pk):#010x}"
    clients = {role: Client() for role in ("viewer", "operator", "admin")}
    for role, client in clients.items():
        client.force_login(User.objects.create_user(username=role, password="x", role=role))
        said = client.get("/host/", follow=True).content.decode()
        assert spi in said
        assert first.sealed not in said
        assert ("Exchange all keys" in said) == (role == "admin")
    for role in ("viewer", "operator"):
        assert clients[role].post("/hosts/keys/").status_code == 403
        assert clients[role].post("/api/v1/associations/rotate", {}, "application/json").status_code == 403
    said = clients["admin"].post("/hosts/keys/", follow=True).content.decode()
    assert "6 exchanges of keys begin; 6 are under way." in said
    call_command("rotate_keys")
    again = clients["admin"].post("/api/v1/associations/rotate", {}, "application/json")
    assert again.json() == {"begun": 0, "under_way": 6}
    listed = clients["viewer"].get("/api/v1/associations?host=h1").json()["results"]
    assert [row["state"] for row in listed].count("made") == 4
    assert {(row["sender"], row["receiver"]) for row in listed} == {
        ("h1", "h2"),
        ("h2", "h1"),
        ("h1", "h3"),
        ("h3", "h1"),
    }
    settle_down(hosts)
    listed = clients["viewer"].get("/api/v1/associations?host=h1").json()["results"]
    assert [row["state"] for row in listed] == ["used"] * 4
    logged = Activity.objects.filter(verb="encryption.rotate")
    assert [(row.actor, row.request) for row in logged.order_by("pk")] == [
        ("admin", {"begun": 6}),
        ("shell", {"begun": 0}),
        ("admin", {"begun": 0}),
    ]


def test_a_network_is_encrypted_for_life_or_never(hosts: list[Imagined]) -> None:
    app = Network.objects.get(name="app")
    with pytest.raises(Forbidden, match="not change at one moment"):
        update_network(OPERATOR, app, NetworkChanges(options={"encrypted": None}))
    assert represent.network(app)["mtu"] == 1416


def test_a_host_without_esp_makes_none_and_joins_none(hosts: list[Imagined]) -> None:
    lacking = Feature(
        key="esp", present=False, detail=Text("No IPsec ESP: no such type"), remedy=Text("CONFIG_INET_ESP")
    )
    row = Host.objects.get(name="h3")
    row.facts = replace(load_facts(row), features=(lacking,)).to_json()
    row.save()
    with pytest.raises(Unsupported, match="No IPsec ESP: no such type CONFIG_INET_ESP"):
        network_services.create_network(
            OPERATOR, row, read_network({"name": "db", "driver": "overlay", "options": {"encrypted": "true"}})
        )
    assert not Network.objects.filter(name="db").exists()
    spec = read_container({"name": "here", "kind": "sandbox", "network": "app"})
    with pytest.raises(Unsupported, match="No IPsec ESP: no such type CONFIG_INET_ESP"):
        containers.run_container(OPERATOR, row, spec)
    assert not Container.objects.filter(name="here").exists()
