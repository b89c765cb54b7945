"""The feed tells every change in order; IPAM never gives one address twice."""

from __future__ import annotations

import gc
import threading
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from django.db import connection, connections
from hypothesis import given
from hypothesis import strategies as st

from networks import feed, represent
from networks.cnm.addresses import choose_address, choose_subnet, unique_local_pool, usable_bounds
from networks.models import Container, Event, Host, Lease
from networks.services import containers, networks, tokens
from networks.services.network_changes import update_network
from networks.services.spec_container import AttachRequest, read_container
from networks.services.spec_network import NetworkChanges
from tests.testlib.world import ADMIN, OPERATOR, World


def replay(state: dict[str, dict[str, Any]], events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The reducer of the pages, in a few lines."""
    for event in events:
        objects = state.setdefault(event["kind"], {})
        if event["op"] == "delete":
            objects.pop(event["id"], None)
        else:
            objects[event["id"]] = event["data"]
    return state


def test_a_snapshot_and_the_events_after_it_make_the_next_snapshot(world: World) -> None:
    before = feed.snapshot()
    app = world.network("app")
    web = world.container("web", network="app", ports=["8080:80"])
    db = world.container("db")
    world.container("linked", links=["db"])
    networks.connect(OPERATOR, app, db, AttachRequest(network="app"))
    world.work()
    containers.stop_container(OPERATOR, web)
    world.work()
    world.ends(Container.objects.get(pk=db.pk), 3)
    world.work()
    containers.remove_container(OPERATOR, Container.objects.get(pk=web.pk))
    world.work()
    update_network(OPERATOR, app, NetworkChanges(labels={"a": "b"}))
    after = feed.snapshot()
    events = feed.since(before["n"], before["epoch"])
    assert events is not None
    assert [event["n"] for event in events] == list(range(before["n"] + 1, after["n"] + 1)), "no number is left out"
    replayed = replay(before["state"], events)
    for kind in ("network", "container", "operation"):
        assert replayed[kind] == after["state"][kind], kind


def test_no_garbage_is_looked_for_while_a_snapshot_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.container("web")
    monkeypatch.setitem(represent.DESCRIBERS, "container", lambda _row: {"looked for": gc.isenabled()})  # type: ignore[arg-type]
    assert [*represent.everything()["container"].values()] == [{"looked for": False}]
    assert gc.isenabled()


def test_an_unknown_epoch_or_a_pruned_past_asks_for_a_snapshot(world: World) -> None:
    now = feed.snapshot()
    assert feed.since(now["n"], "another") is None
    assert feed.since(now["n"] + 5, now["epoch"]) is None
    Event.objects.filter(number__lte=1).delete()
    assert feed.since(0, now["epoch"]) is None
    assert feed.since(now["n"], now["epoch"]) == []


def test_a_refused_change_tells_nothing(world: World) -> None:
    before = feed.snapshot()["n"]
    with pytest.raises(Exception, match="exists already"):  # noqa: PT012  # the second call is the one that is refused
        world.network("app")
        before = feed.snapshot()["n"]
        world.network("app")
    assert feed.snapshot()["n"] == before


def test_a_token_is_known_by_its_secret_alone(world: World) -> None:
    from networks.models import User

    user = User.objects.create_user(username="anna", password="x", role="admin")
    token, secret = tokens.create_token(ADMIN, user, "ci", "operator")
    assert secret not in str(vars(token))
    found = tokens.authenticate(secret)
    assert found is not None
    assert (found.pk, found.role) == (token.pk, "operator")
    assert tokens.authenticate(secret[:-1] + "x") is None
    tokens.revoke(ADMIN, token)
    assert tokens.authenticate(secret) is None


@pytest.mark.django_db(transaction=True)
def test_many_requests_at_once_never_get_one_address_or_name_or_port(tmp_path: Any) -> None:
    from django.utils import timezone

    host = Host.objects.create(name="local", settings={"names": "cnm"}, heartbeat_at=timezone.now())
    networks.ensure_defaults(host)
    errors: list[Exception] = []

    def make(number: int) -> None:
        body = {"name": f"c{number}", "kind": "sandbox", "ports": ["80"]}
        try:
            containers.run_container(OPERATOR, Host.objects.get(), read_container(body))
        except Exception as error:  # collected for the assertion below
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=make, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    addresses = list(Lease.objects.exclude(endpoint=None).values_list("address", flat=True))
    assert len(addresses) == len(set(addresses)) == 12
    ports = list(Container.objects.values_list("ports__host_port", flat=True))
    assert len(set(ports)) == 12
    assert connection.vendor in {"sqlite", "postgresql"}


NETWORKS = st.builds(
    lambda base, prefix: ip_network((base, prefix), strict=False),
    st.integers(0x0A000000, 0x0AFFFFFF),
    st.integers(24, 32),
)


@given(subnet=NETWORKS, order=st.sampled_from(["lru", "lowest"]), data=st.data())
def test_an_address_is_given_once_inside_and_never_a_reserved_one(subnet: Any, order: str, data: Any) -> None:
    low, high = usable_bounds(subnet)
    forbidden = frozenset(ip_address(data.draw(st.integers(low, high))) for _ in range(data.draw(st.integers(0, 3))))
    in_use: set[Any] = set()
    released: list[Any] = []
    for _ in range(min(high - low + 1, 40)):
        if in_use and data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(sorted(in_use)))
            in_use.remove(gone)
            released.append(gone)
        chosen = choose_address(
            subnet, None, forbidden=forbidden, in_use=frozenset(in_use), released=released, order=order
        )
        if chosen is None:
            assert len(in_use) + len(forbidden) >= high - low + 1, "a free address was not found"
            break
        assert chosen in subnet
        assert low <= int(chosen) <= high
        assert chosen not in in_use
        assert chosen not in forbidden
        if order == "lru" and chosen in released:
            everything = {ip_address(n) for n in range(low, high + 1)}
            assert not everything - in_use - forbidden - set(released), (
                "a rested address goes before a fresh one only at the end"
            )
            assert chosen == next(a for a in released if a not in in_use and a not in forbidden)
        released = [address for address in released if address != chosen]
        in_use.add(chosen)


@given(taken=st.lists(NETWORKS, max_size=8))
def test_a_chosen_subnet_overlaps_nothing(taken: list[Any]) -> None:
    pools = [(ip_network("10.0.0.0/22"), 24), (ip_network("10.1.0.0/24"), 26)]
    chosen = choose_subnet(pools, 4, taken)
    if chosen is None:
        candidates = [c for base, size in pools for c in base.subnets(new_prefix=size)]
        assert all(any(c.overlaps(t) for t in taken) for c in candidates)
    else:
        assert not any(chosen.overlaps(other) for other in taken)


def test_every_host_has_its_own_ipv6_pool() -> None:
    assert unique_local_pool("a") != unique_local_pool("b")
    assert unique_local_pool("a") == unique_local_pool("a")
    assert unique_local_pool("a").subnet_of(ip_network("fd00::/8"))  # type: ignore[arg-type]
