"""The desired state as a file: applied whole or not at all, applied twice without a second effect, and exported as it was."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from networks import settle
from networks.cnm.errors import CnmError, Conflict, Forbidden, InvalidSpec, KernelRefused, NotFound
from networks.models import Activity, Container, Link, Network, Operation, PublishedPort
from networks.services import containers, repair
from networks.services.topology import Applied, apply_topology, export
from networks.services.topology_file import lines_told, read_file, write_file
from tests.testlib.world import OPERATOR, VIEWER, World

SHOP = """
version: 1
networks:
  app:
    subnets:
    - subnet: 10.44.0.0/24
      gateway: 10.44.0.254
      ip_range: 10.44.0.128/25
      aux_addresses:
        printer: 10.44.0.9
    options:
      com.docker.network.bridge.enable_icc: 'false'
    labels:
      team: blue
  pooled: {}
  inner:
    internal: true
containers:
  db:
    command: [sleep, "9"]
    env: {POSTGRES_DB: shop}
    exposed_ports: [5432/tcp]
    networks:
    - network: app
      ipv4: 10.44.0.5
      aliases: [database]
    - inner
  legacy:
    command: [sleep, "9"]
    network: bridge
    links: [old:store]
  old:
    command: [sleep, "9"]
    exposed_ports: [80/tcp]
    restart_policy: {name: on-failure, max_retries: 3}
  side:
    command: [sleep, "9"]
    network: container:web
  resting:
    kind: sandbox
    network: pooled
    start: false
  web:
    command: [sleep, "9"]
    network: app
    hostname: shop.example
    dns: [10.0.0.53]
    extra_hosts: [up.example:192.0.2.7]
    ports:
    - 8080:80
    - 127.0.0.1:9000-9010:90/udp
    - container_port: 443
      host_port: 8443
      allowed_sources: [192.0.2.0/24]
"""


def apply(world: World, text: str, *, prune: bool = False, work: bool = True) -> Applied:
    done = apply_topology(OPERATOR, world.host, read_file(text)[0], prune=prune)
    if work:
        world.work()
    return done


def applied_with_lines(world: World, text: str) -> None:
    declaration, document = read_file(text)
    with lines_told(document):
        apply_topology(OPERATOR, world.host, declaration)


def text_of(world: World) -> str:
    return write_file(export(world.host))


def said(applied: Applied) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(change.name, change.action, change.fields) for change in applied.changes.changes]


def names() -> dict[str, str]:
    return dict(Container.objects.order_by("name").values_list("name", "status"))


def changed(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_what_is_exported_can_be_applied_to_an_empty_host_and_is_exported_equal(world: World) -> None:
    done = apply(world, SHOP)
    assert Operation.objects.count() == 1, "one plan, one commit of the rules"
    assert done.outcome.operation is not None
    assert {change.action for change in done.changes.changes} == {"create"}
    exported = text_of(world)
    assert read_file(exported)[0].networks == read_file(SHOP)[0].networks
    assert "subnet: 10.44.0.0/24" in exported
    assert "pooled: {}" in exported, "a subnet out of the pools is left to the pools"
    assert not apply(world, exported).changes
    for name in ("side", "legacy"):
        Container.objects.filter(name=name).delete()
    Container.objects.all().delete()
    Network.objects.exclude(predefined=True).delete()
    assert "web" not in text_of(world)
    apply(world, exported)
    assert text_of(world) == exported
    assert names() == dict.fromkeys(("db", "legacy", "old", "side", "web"), "running") | {"resting": "created"}


def test_a_second_application_does_nothing_at_all(world: World) -> None:
    apply(world, SHOP)
    before = Operation.objects.count(), Activity.objects.count()
    again = apply(world, SHOP)
    assert (bool(again.changes), again.outcome.operation) == (False, None)
    assert (Operation.objects.count(), Activity.objects.count()) == before


@pytest.mark.parametrize(
    ("old", "new", "field", "at", "kind"),
    [
        ("8080:80", "8080:99999", "containers.web.ports.0", "8080:99999", InvalidSpec),
        ("ipv4: 10.44.0.5", "ipv4: 10.45.0.5", "containers.db.networks.0.ipv4", "ipv4: 10.45", InvalidSpec),
        ("10.44.0.0/24", "10.44.0.1/24", "networks.app.subnets.0.subnet", "10.44.0.1/24", InvalidSpec),
        ("links: [old:store]", "links: [ghost]", "containers.legacy.links.0", "[ghost]", NotFound),
        ("network: pooled", "network: nowhere", "containers.resting.network", "network: nowhere", NotFound),
        ("  inner:", "  none:", "networks.none", "  none:", Forbidden),
        ("kind: sandbox", "image: ghost:1", "containers.resting.image", "ghost:1", NotFound),
        ("    - inner\n", "    - inner\n    frobnicate: 1\n", "containers.db.frobnicate", "frobnicate", InvalidSpec),
    ],
)
def test_bad_input_changes_nothing_and_names_its_path(
    world: World, old: str, new: str, field: str, at: str, kind: type[CnmError]
) -> None:
    text = changed(SHOP, (old, new))
    if new == "  none:":
        text = text.replace("    - inner\n", "    - pooled\n")
    with pytest.raises(kind) as refused:
        applied_with_lines(world, text)
    assert refused.value.field == field
    assert at in text.splitlines()[refused.value.facts["line"] - 1]
    assert str(refused.value.remedy)
    assert not Container.objects.exists()
    assert not Network.objects.exclude(predefined=True).exists()
    assert not Operation.objects.exists()


def test_a_viewer_may_not(world: World) -> None:
    with pytest.raises(Forbidden):
        apply_topology(VIEWER, world.host, read_file(SHOP)[0])
    assert not Operation.objects.exists()


def test_what_a_role_may_not_do_alone_it_may_not_do_by_a_file(world: World) -> None:
    text = "containers: {a: {binds: ['/etc:/x']}}"
    with pytest.raises(Forbidden) as refused:
        apply(world, text)
    assert refused.value.field == "containers.a.binds.0"
    with pytest.raises(Forbidden):
        apply(world, "containers: {a: {kind: adopted, adopt: {path: /run/netns/x}}}")
    assert not Container.objects.exists()


def test_what_the_file_does_not_name_is_left_alone_unless_it_is_to_be_pruned(world: World) -> None:
    world.network("other")
    world.container("mine", network="other")
    first = apply(world, SHOP)
    assert first.changes.left_alone == (("network", "other"), ("container", "mine"))
    assert names()["mine"] == "running"
    pruned = apply(world, SHOP, prune=True)
    assert said(pruned) == [("other", "remove", ()), ("mine", "remove", ())]
    assert "mine" not in names()
    assert not Network.objects.filter(name="other").exists()
    assert names()["web"] == "running"


def test_changes_that_a_running_container_can_take_are_made_in_place(world: World) -> None:
    apply(world, SHOP)
    ids = dict(Container.objects.values_list("name", "id"))
    done = apply(
        world,
        changed(
            SHOP,
            ("8080:80", "8081:80"),
            ("192.0.2.0/24", "198.51.100.0/24"),
            ("aliases: [database]", "aliases: [database, sql]"),
            ("    - inner\n", "    - pooled\n"),
            ("links: [old:store]", "links: [old:shop, old]"),
            ("max_retries: 3", "max_retries: 5"),
            ("start: false", "labels: {a: b}"),
        ),
    )
    assert said(done) == [
        ("db", "change", ("networks",)),
        ("legacy", "change", ("links",)),
        ("old", "change", ("restart_max",)),
        ("resting", "change", ("labels", "start")),
        ("web", "change", ("ports",)),
    ]
    assert Operation.objects.count() == 2
    assert dict(Container.objects.values_list("name", "id")) == ids, "nobody was made anew"
    assert names() == dict.fromkeys(("db", "legacy", "old", "resting", "side", "web"), "running")
    db = Container.objects.get(name="db")
    assert {way.network.name: way.aliases for way in db.endpoints.all()} == {"app": ["database", "sql"], "pooled": []}
    assert db.endpoints.get(network__name="app").ipv4 == "10.44.0.5/24", "it keeps its address"
    web = PublishedPort.objects.filter(container__name="web")
    assert set(web.values_list("wanted_host_port", flat=True)) == {8081, 9000, 8443}
    assert web.get(wanted_host_port=8443).allowed_sources == ["198.51.100.0/24"]
    assert set(Link.objects.values_list("alias", flat=True)) == {"shop", "old"}
    assert not apply(world, text_of(world)).changes


def test_what_it_cannot_take_makes_a_container_anew_with_what_hangs_on_it(world: World) -> None:
    apply(world, SHOP)
    world.container("visitor", links=["old"])
    ids = dict(Container.objects.values_list("name", "id"))
    done = apply(
        world, changed(SHOP, ("shop.example", "new.example"), ("[80/tcp]", "[81/tcp]"), ("POSTGRES_DB: shop", "A: b"))
    )
    assert said(done) == [
        ("db", "remake", ("env",)),
        ("old", "remake", ("exposed_ports",)),
        ("side", "remake", ()),
        ("web", "remake", ("hostname",)),
    ]
    assert "web" in str(done.changes.changes[2].because)
    assert Operation.objects.count() == 3
    now = dict(Container.objects.values_list("name", "id"))
    assert now.keys() == ids.keys()
    assert {name for name in ids if ids[name] == now[name]} == {"legacy", "resting", "visitor"}
    assert set(names().values()) == {"running", "created"}
    assert Container.objects.get(name="db").endpoints.get(network__name="app").ipv4 == "10.44.0.5/24"
    linked = {(link.recipient.name, link.source.name, link.alias) for link in Link.objects.all()}
    assert linked == {("legacy", "old", "store"), ("visitor", "old", "old")}, (
        "links to it are made anew, whoever made them"
    )
    assert not apply(
        world, changed(SHOP, ("shop.example", "new.example"), ("[80/tcp]", "[81/tcp]"), ("POSTGRES_DB: shop", "A: b"))
    ).changes


def test_processes_that_are_made_anew_end_by_their_own_signal_and_time(world: World) -> None:
    apply(world, "containers: {a: {command: [sleep, '9'], stop_timeout: 33}, b: {kind: sandbox}}")
    old = Container.objects.get(name="a").pk
    done = apply(world, "containers: {a: {command: [sleep, '8'], stop_timeout: 33}, b: {kind: sandbox}}", work=False)
    operation = done.outcome.operation
    assert operation is not None
    assert (operation.verb, operation.queue) == ("topology.apply", "slow")
    assert operation.args["ends"] == {old: ["SIGTERM", 33]}


def test_a_network_changes_in_place_and_its_containers_are_made_anew_when_its_addresses_do(world: World) -> None:
    apply(world, SHOP)
    network = Network.objects.get(name="app").pk
    done = apply(world, changed(SHOP, ("enable_icc: 'false'", "enable_icc: 'true'"), ("team: blue", "team: red")))
    assert said(done) == [("app", "change", ("labels", "options"))]
    moved = changed(SHOP, ("10.44.0.", "10.55.0."))
    done = apply(world, moved)
    assert said(done) == [
        ("app", "change", ("labels", "options", "subnets")),
        ("db", "remake", ("networks",)),
        ("side", "remake", ()),
        ("web", "remake", ()),
    ]
    assert Network.objects.get(name="app").pk == network
    assert Container.objects.get(name="db").endpoints.get(network=network).ipv4 == "10.55.0.5/24"
    assert not apply(world, moved).changes


def test_a_network_keeps_its_addresses_while_somebody_else_is_on_it(world: World) -> None:
    apply(world, SHOP)
    world.container("stranger", network="app")
    with pytest.raises(Conflict, match="stranger") as refused:
        apply(world, changed(SHOP, ("10.44.0.", "10.55.0.")))
    assert refused.value.field == "networks.app.subnets"
    assert Network.objects.get(name="app").subnets.get().cidr == "10.44.0.0/24"
    assert set(names().values()) == {"running", "created"}


def test_containers_linked_in_a_circle_are_made(world: World) -> None:
    text = "containers: {a: {command: [x], links: [b]}, b: {command: [x], links: ['a:first']}}"
    apply(world, text)
    assert {(link.recipient.name, link.alias) for link in Link.objects.all()} == {("a", "b"), ("b", "first")}
    assert not apply(world, text).changes


def test_a_container_that_ended_by_itself_is_as_declared(world: World) -> None:
    text = "containers: {job: {command: [echo, hi]}}"
    apply(world, text)
    world.ends(Container.objects.get())
    world.work()
    assert not apply(world, text).changes


def test_what_failed_is_tried_again(world: World) -> None:
    apply(world, SHOP)
    Network.objects.filter(name="app").update(withheld=True, status="failed")
    web = Container.objects.get(name="web")
    Container.objects.filter(pk=web.pk).update(failed_run=web.run, status="failed")
    done = apply(world, SHOP)
    assert said(done) == [("app", "repair", ()), ("web", "repair", ())]
    assert done.outcome.operation is not None
    assert Network.objects.get(name="app").status == "ready"
    assert names()["web"] == "running"


def test_the_repair_of_an_application_ends_nobody_who_was_started_since(world: World) -> None:
    apply(world, "containers: {a: {command: [x]}, b: {command: [x]}}")
    done = apply(world, "containers: {a: {command: [x], start: false}, b: {command: [x], start: false}}", work=False)
    operation = done.outcome.operation
    assert operation is not None
    ids = dict(Container.objects.values_list("name", "id"))
    assert set(operation.args["ends"]) == set(ids.values())
    settle.settle(operation, failed=KernelRefused("It broke."))
    containers.start_container(OPERATOR, Container.objects.get(name="a"))
    again = repair.retry(OPERATOR, operation)
    assert set(again.args["ends"]) == {ids["b"]}


def test_an_export_costs_the_same_number_of_queries_however_much_there_is(world: World) -> None:
    apply(world, SHOP)
    with CaptureQueriesContext(connection) as few:
        text_of(world)
    more = "".join(f"  c{n}: {{kind: sandbox, networks: [app, pooled], ports: ['{9100 + n}:80']}}\n" for n in range(5))
    apply(world, SHOP + more)
    with CaptureQueriesContext(connection) as many:
        text_of(world)
    assert len(many) == len(few)
