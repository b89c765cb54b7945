"""What is made of several queries is of one state, whatever is committed between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import pytest
from django.db import connection, connections

from networks import audit, feed, represent
from networks.cnm.errors import NotFound
from networks.load import load_both
from networks.models import Container, Host, Network
from networks.services.declared import declared
from networks.steady import steady
from tests.services.test_at_once import host as host  # a fixture
from tests.services.test_at_once import runs
from tests.testlib.world import OPERATOR, World


def _topology(host: Host) -> Any:
    kept = represent.everything()
    return {kind: kept[kind] for kind in ("network", "container")}


LOOKS: dict[str, Callable[[Host], Any]] = {
    "the desired state": lambda host: [asdict(value) for value in load_both(host)],
    "what all is shown": _topology,
    "networks that are shown": lambda host: [represent.network(row) for row in represent.prepared(Network)],
    "containers that are shown": lambda host: [represent.container(row) for row in represent.prepared(Container)],
    "the state a page begins with": lambda host: feed.snapshot(),
    "rules and who made them": audit.rules_and_chains,
    "the declaration": lambda host: asdict(declared(host)),
}


def elsewhere(work: Callable[[], object]) -> None:
    """Do *work* over another connection, and commit it."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert failed == []


@contextmanager
def meddling(after: int, work: Callable[[], object]) -> Iterator[list[int]]:
    """Inside, *work* is done elsewhere once so many queries were asked here; how many were is counted."""
    asked = [0]

    def count(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        found = execute(sql, *rest)
        if sql.startswith("SELECT"):
            asked[0] += 1
            if asked[0] == after:
                elsewhere(work)
        return found

    with connection.execute_wrapper(count):
        yield asked


@pytest.mark.parametrize("what", LOOKS)
def test_a_write_in_the_middle_is_seen_whole_or_not_at_all(host: Host, what: str) -> None:
    from networks.services import networks
    from networks.services.spec_network import read_network

    look, number, more = LOOKS[what], 0, True

    def write() -> None:
        with feed.transaction("olga"):
            here = Host.objects.get()
            networks.create_network(OPERATOR, here, read_network({"name": f"n{number}"}))
            runs(f"c{number}", network=f"n{number}", ports=["80"])()
            Container.objects.filter(name=f"c{number - 1}").delete()
            Network.objects.filter(name=f"n{number - 1}").delete()

    elsewhere(write)
    while more:
        number += 1
        before = look(host)
        with meddling(number, write) as asked:
            seen = look(host)
        more = asked[0] > number
        assert seen in (before, look(host)), f"a write after query {number} was seen in part"
    assert number > 1


def test_a_row_that_goes_between_finding_and_reading_it_is_told_as_gone(world: World) -> None:
    row = world.container("web")
    Container.objects.filter(pk=row.pk).delete()
    with pytest.raises(NotFound, match="removed meanwhile"):
        represent.again(row)


def test_a_reader_waits_for_no_writer_and_keeps_none(host: Host) -> None:
    with steady():
        before = list(Container.objects.values_list("name", flat=True))
        elsewhere(runs("late"))
        assert list(Container.objects.values_list("name", flat=True)) == before
    assert Container.objects.filter(name="late").exists()
