"""Use cases of links, and what is told of files, names and variables without a kernel."""

from __future__ import annotations

import pytest

from networks import settle
from networks.cnm.errors import Conflict, InvalidSpec
from networks.etc_files import files_of, files_of_all
from networks.link_variables import link_variables
from networks.models import Container, Event, Link
from networks.name_lookup import look_up
from networks.services import containers, links
from networks.services.spec_container import read_container
from tests.testlib.world import OPERATOR, World


def test_a_source_must_run_when_its_recipient_is_made_even_if_that_is_not_started(world: World) -> None:
    db = world.container("db")
    containers.stop_container(OPERATOR, db)
    world.work()
    body = {"name": "web", "command": ["sleep", "9"], "links": ["db"], "start": False}
    with pytest.raises(Conflict, match="db: it is not running"):
        containers.run_container(OPERATOR, world.host, read_container(body))
    assert not Container.objects.filter(name="web").exists()


def test_a_source_that_ended_by_itself_does_not_run(world: World) -> None:
    db = world.container("db")
    world.ends(db)
    world.work()
    with pytest.raises(Conflict, match="not running"):
        world.container("web", links=["db"])


def test_an_alias_defaults_to_the_name_also_where_the_source_was_given_by_its_id(world: World) -> None:
    db = world.container("db")
    web = world.container("web", links=[db.id[:12], f"{db.id}:other"])
    assert [(row.source_id, row.alias) for row in web.links.all()] == [(db.id, "db"), (db.id, "other")]


def test_containers_linked_in_a_circle_can_start_one_after_the_other(world: World) -> None:
    a = world.container("a")
    b = world.container("b", links=["a"])
    c = world.container("c", links=["b"])
    links.link(OPERATOR, a, c, "c")
    outsider = world.container("outsider", links=["a"])
    for row in (a, b, c, outsider):
        containers.stop_container(OPERATOR, row)
    world.work()
    rows = [Container.objects.get(pk=row.pk) for row in (a, b, c, outsider)]
    with pytest.raises(Conflict, match="a: it is not running"):
        containers.start_container(OPERATOR, rows[3])
    for row in (*rows[1::-1], *rows[2:]):
        containers.start_container(OPERATOR, row)
        world.work()
    assert set(Container.objects.values_list("status", flat=True)) == {"running"}


def test_a_source_is_removed_with_force_and_its_links_go_with_it(world: World) -> None:
    db = world.container("db")
    for name in ("web", "worker"):
        world.container(name, links=["db"])
    with pytest.raises(Conflict, match="linked to by web, worker"):
        containers.remove_container(OPERATOR, db)
    containers.remove_container(OPERATOR, Container.objects.get(pk=db.pk), force=True)
    world.work()
    assert not Link.objects.exists()
    assert "db" not in _texts(Container.objects.get(name="web")).split()


def _texts(row: Container) -> str:
    return "\n".join(line.text for line in files_of(row)[0].lines)


def _seen(world: World, row: Container, **changes: str) -> Container:
    """As after the worker's work: its files were written, and then *changes* were seen."""
    wanted = {view.name: "".join(f"{line.text}\n" for line in view.lines) for view in files_of(row)}
    settle.note(world.host, {row.pk: wanted | {name.replace("_", "."): text for name, text in changes.items()}})
    return Container.objects.get(pk=row.pk)


def test_what_somebody_wrote_into_a_hosts_file_is_told_from_what_should_be_there(world: World) -> None:
    db = world.container("db", extra_hosts=["printer:192.0.2.9"])
    db = _seen(world, db)
    assert not any(view.drifted or view.edited for view in files_of(db))
    text = db.files["hosts"].replace("192.0.2.9\tprinter\n", "") + "192.0.2.66 mine\n"
    hosts = files_of(_seen(world, db, hosts=text))[0]
    assert hosts.drifted
    assert [line.text for line in hosts.missing] == ["192.0.2.9\tprinter"]
    assert [line.text for line in hosts.lines if line.origin == "foreign"] == ["192.0.2.66 mine"]


def test_an_edited_resolv_conf_is_shown_as_edited_and_is_no_drift(world: World) -> None:
    db = _seen(world, world.container("db"), resolv_conf="nameserver 198.51.100.1\n")
    view = files_of(db)[2]
    assert (view.name, view.edited, view.drifted, view.missing) == ("resolv.conf", True, False, ())
    assert [line.origin for line in view.lines] == ["edited"]


def test_no_text_of_a_container_breaks_the_database_or_fills_it(world: World) -> None:
    db = _seen(world, world.container("db"), hosts="\udcff\0" + "x" * (2 * settle.MOST_SEEN))
    assert db.files["hosts"].startswith("\ufffd\ufffdx")
    assert len(db.files["hosts"]) == settle.MOST_SEEN
    assert files_of(db)[0].cut
    assert not files_of(db)[0].missing


def test_a_container_in_anothers_sandbox_shows_the_others_files(world: World) -> None:
    web = world.container("web")
    joined = world.container("joined", network="container:web")
    assert files_of(joined) == files_of(web) != []
    assert [row.name for row, _ in files_of_all(world.host)] == ["web"]


def test_who_resolves_a_name_is_answered_for_every_running_container(world: World) -> None:
    db = world.container("db", hostname="dbhost")
    world.container("web", links=["db:database"])
    world.container("loner")
    world.container("joined", network="container:web")
    ended = world.container("ended")
    world.ends(ended)
    world.work()
    address = db.endpoints.get().ipv4.partition("/")[0]
    found = {lookup.container.name: lookup for lookup in look_up(world.host, "Database.")}
    assert sorted(found) == ["db", "joined", "loner", "web"]
    for name in ("web", "joined"):
        assert [str(answer.address) for answer in found[name].answers] == [address]
        assert found[name].answers[0].owner.kind == "link"
    assert found["db"].answers == found["loner"].answers == ()
    assert found["loner"].asks
    assert [lookup.container.name for lookup in look_up(world.host, "dbhost") if lookup.answers] == [
        "db",
        "joined",
        "web",
    ]
    for bad in ("", "a b", "-x", "a..b", "x" * 300):
        with pytest.raises(InvalidSpec):
            look_up(world.host, bad)


def test_what_a_file_really_holds_decides_who_resolves_a_name(world: World) -> None:
    web = world.container("web")
    _seen(world, web, hosts="192.0.2.66 mine\n")
    (lookup,) = look_up(world.host, "mine")
    assert [(str(answer.address), answer.why.template != "") for answer in lookup.answers] == [("192.0.2.66", True)]
    assert look_up(world.host, "localhost")[0].answers == ()


def test_variables_stay_as_at_the_start_and_those_that_are_stale_are_marked(world: World) -> None:
    db = world.container("db", exposed_ports=["5432/tcp"], env={"PASSWORD": "old"})
    web = world.container("web", links=["db"])
    now = {item.name: item.now for item in link_variables(web)}
    settle.note(world.host, {}, {web.pk: 7}, {web.pk: {name: value or "" for name, value in now.items()}})
    web.refresh_from_db()
    assert web.link_env["DB_PORT_5432_TCP_PORT"] == "5432"
    assert not any(item.stale for item in link_variables(web))
    db.spec["env"] = {"PASSWORD": "new"}
    db.save(update_fields=["spec"])
    links.link(OPERATOR, web, db, "more")
    stale = {item.name: (item.at_start, item.now) for item in link_variables(web) if item.stale}
    assert stale["DB_ENV_PASSWORD"] == ("old", "new")
    assert stale["MORE_NAME"] == (None, "/web/more")
    assert "DB_PORT" not in stale
    containers.stop_container(OPERATOR, db)
    world.work()
    assert all(item.now is None for item in link_variables(web))


def test_recipients_are_told_of_when_their_source_restarts(world: World) -> None:
    db = world.container("db")
    web = world.container("web", links=["db"])
    before = Event.objects.order_by("-number").first()
    containers.restart_container(OPERATOR, db)
    world.work()
    told = Event.objects.filter(number__gt=before.number, kind="container").values_list("object_id", flat=True)  # type: ignore[union-attr]
    assert web.pk in told
