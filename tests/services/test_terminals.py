"""Terminals: who may open, use and end which, how many, and what the root side checks again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from networks import exec_sessions
from networks.cnm.errors import CnmError, Conflict, Exhausted, Forbidden, NotFound
from networks.models import Activity, Container, ExecSession, User
from networks.services import containers, terminals
from networks.services.actor import Actor
from tests.testlib.world import ADMIN, OPERATOR, VIEWER, World
from worker.sessions.book import Tickets

OTHER = Actor(name="otto", role="operator", via="page")


@pytest.fixture
def web(world: World) -> Container:
    for name, role in (("olga", "operator"), ("vera", "viewer"), ("anna", "admin"), ("otto", "operator")):
        User.objects.create_user(name, password="x", role=role)
    return world.container("web")


def opened(web: Container, actor: Actor = OPERATOR) -> ExecSession:
    made = terminals.open_terminal(actor, web, ["sh"]).subject
    assert isinstance(made, ExecSession)
    return made


def test_a_viewer_opens_none(web: Container) -> None:
    with pytest.raises(Forbidden):
        opened(web, VIEWER)
    assert not ExecSession.objects.exists()


def test_only_a_running_process_has_one(world: World, web: Container) -> None:
    for spec in ({"name": "idle", "start": False}, {"name": "bare", "kind": "sandbox", "command": []}):
        other = world.container(**spec)
        with pytest.raises(Conflict):
            opened(other)
    containers.stop_container(OPERATOR, web)
    with pytest.raises(Conflict):
        opened(web)


def test_operators_use_their_own_and_admins_everybodys(web: Container) -> None:
    session = opened(web)
    assert terminals.ticket(OPERATOR, session)
    assert terminals.ticket(ADMIN, session)
    for actor in (VIEWER, OTHER):
        with pytest.raises(Forbidden):
            terminals.ticket(actor, session)
        with pytest.raises(Forbidden):
            terminals.close_terminal(actor, session)
    told = Activity.objects.filter(verb__startswith="terminal").values_list("verb", "actor")
    assert sorted(told) == [("terminal.attach", "anna"), ("terminal.open", "olga")]


def test_the_root_side_checks_again(web: Container) -> None:
    session = opened(web)
    assert exec_sessions.checked(session.pk, "olga").pk == session.pk
    for name in ("vera", "otto", "nobody"):
        with pytest.raises(Forbidden):
            exec_sessions.checked(session.pk, name)
    User.objects.filter(username="olga").update(role="viewer")
    with pytest.raises(Forbidden):
        exec_sessions.checked(session.pk, "olga")
    User.objects.filter(username="anna").update(is_active=False)
    with pytest.raises(Forbidden):
        exec_sessions.checked(session.pk, "anna")
    with pytest.raises(NotFound):
        exec_sessions.checked("f" * 64, "olga")


def test_a_session_is_claimed_once_and_only_while_the_container_runs(web: Container) -> None:
    session = exec_sessions.checked(opened(web).pk, "olga")
    exec_sessions.claim(session)
    with pytest.raises(Conflict):
        exec_sessions.claim(session)
    late = opened(web)
    containers.stop_container(OPERATOR, web)
    with pytest.raises(Conflict):
        exec_sessions.claim(exec_sessions.checked(late.pk, "olga"))


def test_a_ticket_is_good_once_for_its_host_and_for_a_short_while(web: Container, monkeypatch: Any) -> None:
    good = terminals.ticket(OPERATOR, opened(web))
    tickets = Tickets()
    assert tickets.take(good, "local", 0.0)["user"] == "olga"
    for text, host in (
        (good, "local"),
        (terminals.ticket(OPERATOR, opened(web)), "other"),
        ("", "local"),
        (3, "local"),
    ):
        with pytest.raises(Forbidden):
            tickets.take(text, host, 1.0)
    monkeypatch.setattr(exec_sessions, "TICKET_S", -1)
    with pytest.raises(Forbidden):
        Tickets().take(good, "local", 0.0)


def test_there_are_limits_for_a_person_and_for_the_host(web: Container, settings: Any) -> None:
    settings.TERMINALS_PER_USER, settings.TERMINALS_MOST = 2, 3
    mine = [opened(web), opened(web)]
    with pytest.raises(Exhausted):
        opened(web)
    opened(web, OTHER)
    with pytest.raises(Exhausted):
        opened(web, ADMIN)
    exec_sessions.note_end(mine[0].pk, "closed")
    opened(web)


def test_what_nobody_connects_to_makes_room_and_an_end_is_told_once(web: Container, settings: Any) -> None:
    settings.TERMINALS_PER_USER = 1
    old = opened(web)
    ExecSession.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    lost = opened(web)
    exec_sessions.claim(exec_sessions.checked(lost.pk, "olga"))
    exec_sessions.end_unused()
    exec_sessions.end_lost()
    exec_sessions.note_end(lost.pk, "exited", 0)
    assert dict(ExecSession.objects.values_list("pk", "reason")) == {old.pk: "unused", lost.pk: "lost"}
    assert Activity.objects.filter(verb="terminal.end").count() == 2
    exec_sessions.note_end("f" * 64, "closed")


def test_closing_one_whose_holder_is_away_ends_it_all_the_same(
    web: Container, django_capture_on_commit_callbacks: Any
) -> None:
    session = opened(web)
    with django_capture_on_commit_callbacks(execute=True):
        terminals.close_terminal(OPERATOR, session)
    session.refresh_from_db()
    assert (session.state, session.reason) == ("ended", "lost")
    with pytest.raises(CnmError):
        terminals.ticket(OPERATOR, session)
