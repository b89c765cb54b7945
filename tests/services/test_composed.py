"""A query that is composed once finds what Django finds, whatever values it is asked with."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Prefetch, Q

from networks.composed import MOST_IN_LIST, composed, insert, insert_many, update, update_if
from networks.models import Activity, Container, Endpoint, Event, Network, PublishedPort, Subnet
from tests.testlib.world import World

BUILDS = {
    "by a number": lambda host: Network.objects.filter(host=host).order_by("activation"),
    "by text": lambda name: Network.objects.filter(name=name),
    "by a join": lambda name: Subnet.objects.filter(network__name=name),
    "a condition of two": lambda name: Network.objects.filter(Q(name=name) | Q(predefined=True)),
    "the first": lambda host: Network.objects.filter(host=host).order_by("-activation")[:1],
    "a list": lambda names: Network.objects.filter(name__in=names),
    "a list of related": lambda ids: Subnet.objects.filter(network__pk__in=ids),
    "with what it is part of": lambda ids: Endpoint.objects.select_related("network__host").filter(network__pk__in=ids),
    "some columns": lambda name: Container.objects.only("name", "spec").filter(name=name),
    "tuples": lambda name: Container.objects.filter(name=name).values_list("pk", "spec", "created_at"),
    "named tuples": lambda port: PublishedPort.objects.filter(container_port__gt=port).values_list("pk", named=True),
    "single values": lambda removing: Network.objects.filter(removing=removing).values_list("labels", flat=True),
}


@pytest.fixture
def names(world: World) -> World:
    world.network("app", labels={"tier": "1"})
    world.container("web", network="app", ports=["8080:80", "8443:443"])
    return world


def _values(world: World) -> dict[str, Any]:
    ids = list(Network.objects.values_list("pk", flat=True))
    by = {
        "host": [world.host.pk, -1],
        "name": ["app", "web", "nobody"],
        "removing": [True, False],
        "port": [0, 80, 443],
    }
    return {**by, "names": [["app"], ["app", "bridge"], []], "ids": [ids, ids[:1], []]}


@pytest.mark.parametrize("what", BUILDS)
def test_it_finds_the_same_rows(names: World, what: str) -> None:
    build = BUILDS[what]
    ask = composed(build)
    for value in _values(names)[build.__code__.co_varnames[0]]:
        for _ in range(2):
            assert [_seen(row) for row in ask(value)] == [_seen(row) for row in build(value)]


def _seen(row: Any) -> Any:
    if not hasattr(row, "_state"):
        return row
    shown = {name: value for name, value in vars(row).items() if name != "_state"}
    return shown | {name: _seen(other) for name, other in row._state.fields_cache.items()}


def test_a_list_that_is_too_long_is_asked_all_the_same(names: World) -> None:
    ask = composed(lambda names: Network.objects.filter(name__in=names).values_list("name", flat=True))
    assert ask([*map(str, range(MOST_IN_LIST)), "app"]) == ["app"]


def test_what_belongs_to_a_row_comes_with_it(names: World, django_assert_num_queries: Any) -> None:
    ports = Prefetch("container__ports", PublishedPort.objects.order_by("container_port"), to_attr="shown_ports")
    ways = Endpoint.objects.select_related("container").prefetch_related(ports)
    ask = composed(lambda pk: Network.objects.filter(pk=pk).prefetch_related(Prefetch("endpoints", ways, "shown")))
    app = Network.objects.get(name="app").pk
    with django_assert_num_queries(3):
        (network,) = ask(app)
    with django_assert_num_queries(0):
        (way,) = network.shown
        assert way.network is network
        assert [port.container_port for port in way.container.shown_ports] == [80, 443]


def test_a_row_is_written_as_the_mapper_writes_it(world: World) -> None:
    made = insert(Network(host=world.host, name="app", labels={"tier": "1"}, activation=99, error=None))
    read = Network.objects.get(pk=made.pk)
    assert _seen(read) == {name: value for name, value in _seen(made).items() if name != "host"}
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(Network(host=world.host, name="app", activation=100))

    made.labels, made.name, made.internal = {}, "not asked for", True
    update(made, "labels", "internal")
    read.refresh_from_db()
    assert (read.labels, read.internal, read.name) == ({}, True, "app")
    read.delete()
    with pytest.raises(DatabaseError, match="is gone"):
        update(made, "labels")


def test_a_row_is_written_only_while_it_is_as_somebody_saw_it(world: World) -> None:
    made = insert(Network(host=world.host, name="app", activation=99))
    made.name = "other"
    assert not update_if(made, "name", removing=True)
    assert Network.objects.get(pk=made.pk).name == "app"
    assert update_if(made, "name", removing=False, activation=99)
    assert Network.objects.get(pk=made.pk).name == "other"


def test_a_kept_row_is_the_same_object_until_the_database_says_something_else(names: World) -> None:
    ask = composed(lambda host: Network.objects.filter(host=host).order_by("activation"), kept=True)
    before = {row.name: row for row in ask(names.host.pk)}
    assert [_seen(row) for row in before.values()] == [
        _seen(row) for row in Network.objects.filter(host=names.host).order_by("activation")
    ]
    Network.objects.filter(name="app").update(labels={"tier": "2"})
    names.network("more")
    after = {row.name: row for row in ask(names.host.pk)}
    assert {name for name in before if after[name] is not before[name]} == {"app"}
    assert after["app"].labels == {"tier": "2"}
    assert list(after)[-1] == "more"
    assert ask(-1) == []


def test_the_database_numbers_a_row_that_has_no_key(world: World) -> None:
    first, second = (insert(Activity(actor="olga", verb="network.create", request={"n": n})) for n in range(2))
    assert second.pk > first.pk
    assert Activity.objects.get(pk=second.pk).request == {"n": 1}


def test_many_rows_are_written_at_once(world: World) -> None:
    insert_many(Event(number=number, op="put", kind="host", object_id="x", data={"n": number}) for number in (900, 901))
    insert_many([])
    assert dict(Event.objects.filter(number__gte=900).values_list("number", "data")) == {
        900: {"n": 900},
        901: {"n": 901},
    }
