"""Names on user-defined networks, as programs in containers find them: through whatever happens to containers and to us."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from tests.testlib.product import Product

from .conftest import Console

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True, scope="module")
def answering_host(shared_console: Console) -> None:
    """The host's server has an address, where nobody listens: who asks it is told at once."""
    shared_console.bottle.run(["ip", "address", "add", "203.0.113.53/32", "dev", "lo"], netns="outside")


def ask(console: Console, container: str, name: str, kind: str = "A", *words: str) -> list[str]:
    """What dig hears in a container's sandbox; sorted."""
    command = ["dig", "+short", "+tries=1", "+time=8", "@127.0.0.11", name, kind, *words]
    return sorted(console.bottle.run(command, netns=console.sandbox(container), check=False).stdout.split())


def status(console: Console, container: str, name: str) -> str:
    command = ["dig", "+tries=1", "+time=8", "@127.0.0.11", name]
    text = console.bottle.run(command, netns=console.sandbox(container), check=False).stdout
    return text.partition("status: ")[2].partition(",")[0]


def within(console: Console, container: str, *command: str) -> str:
    """What a command prints inside a running container."""
    answer = console.call("POST", f"containers/{container}/exec", {"command": list(command)})
    return str(answer["result"]["stdout"])


def upstream(console: Console, address: str, answer: str) -> None:
    """A server in the namespace ``outside`` that answers every question for an address with *answer*."""
    console.bottle.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], netns="outside")
    program = (
        "import dnslib.server, dnslib, time\n"
        "class Answer:\n"
        "    def resolve(self, request, handler):\n"
        "        reply = request.reply()\n"
        f"        reply.add_answer(dnslib.RR(request.q.qname, dnslib.QTYPE.A, rdata=dnslib.A({answer!r})))\n"
        "        return reply\n"
        f"for tcp in (False, True): dnslib.server.DNSServer(Answer(), address={address!r}, tcp=tcp).start_thread()\n"
        "time.sleep(1000)\n"
    )
    console.bottle.popen([sys.executable, "-c", program], netns="outside")
    deadline = time.monotonic() + 15
    while f"{address}:53" not in console.bottle.run(["ss", "-Hltn"], netns="outside").stdout:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_programs_in_a_container_find_their_neighbours_and_themselves(console: Console) -> None:
    console.network("app")
    console.run("web", network="app", hostname="box")
    console.run("db", network="app", aliases=["store"])
    web, db = console.address("web"), console.address("db")
    for name in ("db", "store", "db.app", "DB", console.get("containers/db")["id"][:12]):
        assert within(console, "web", "getent", "hosts", name).split()[0] == db, name
    assert ask(console, "db", "box") == [web]
    assert ask(console, "web", "web") == [web]
    reverse = ".".join(reversed(db.split("."))) + ".in-addr.arpa"
    assert ask(console, "web", reverse, "PTR") == ["db.app."]
    assert "nameserver 127.0.0.11\n" in within(console, "web", "cat", "/etc/resolv.conf")
    assert db not in within(console, "web", "cat", "/etc/hosts")
    assert db in within(console, "web", "busybox", "nslookup", "store.app")


def test_a_name_follows_stop_start_rename_connect_and_disconnect(console: Console) -> None:
    console.network("app")
    console.network("back")
    console.run("asker", network="app")
    console.run("db", network="app")
    assert ask(console, "asker", "db") == [console.address("db")]
    console.call("POST", "containers/db/stop")
    assert ask(console, "asker", "db") == []
    console.call("POST", "containers/db/start")
    assert ask(console, "asker", "db") == [console.address("db")]
    console.call("POST", "containers/db/rename", {"name": "store"})
    assert ask(console, "asker", "store") == [console.address("store")]
    assert ask(console, "asker", "db") == []
    console.run("far", network="back")
    assert ask(console, "asker", "far") == []
    console.call("POST", "networks/back/connect", {"container": "asker", "aliases": ["near"]})
    assert ask(console, "asker", "far") == [console.address("far")]
    assert ask(console, "far", "near") == [console.address("asker", "back")]
    console.call("POST", "networks/back/disconnect", {"container": "asker"})
    assert ask(console, "asker", "far") == []
    assert ask(console, "far", "near") == []
    console.remove("store")
    assert ask(console, "asker", "store") == []


def test_a_process_that_ends_by_itself_takes_its_name_along(console: Console) -> None:
    console.network("app")
    console.run("asker", network="app")
    console.run("short", "sh", "-c", "until [ -e /tmp/over ]; do sleep 0.1; done", network="app")
    assert ask(console, "asker", "short") == [console.address("short")]
    over = {"command": ["touch", "/tmp/over"]}
    console.call("POST", "containers/short/exec", over, wait=0)  # it may be gone before its answer
    assert console.until(lambda: ask(console, "asker", "short") == [])


def test_an_alias_of_several_containers_has_all_their_addresses(console: Console) -> None:
    console.network("app")
    for name in ("one", "two", "three"):
        console.run(name, network="app", aliases=["api"])
    everybody = sorted(console.address(name) for name in ("one", "two", "three"))
    assert ask(console, "one", "api") == everybody
    console.call("POST", "containers/two/stop")
    assert ask(console, "one", "api") == sorted(console.address(name) for name in ("one", "three"))


def test_a_links_alias_is_known_to_its_recipient_alone(console: Console) -> None:
    console.network("app")
    console.run("db", network="app")
    console.run("web", network="app", links=["db:store"])
    console.run("other", network="app")
    assert ask(console, "web", "store") == [console.address("db")]
    assert ask(console, "other", "store") == []
    console.call("POST", "containers/db/restart")
    assert ask(console, "web", "store") == [console.address("db")]


def test_both_families(console: Console) -> None:
    console.network("dual", enable_ipv6=True, subnets=[{"subnet": "10.60.0.0/24"}, {"subnet": "fd00:60::/64"}])
    console.run("web", network="dual")
    endpoint = console.get("containers/web")["endpoints"][0]
    assert ask(console, "web", "web", "AAAA") == [endpoint["ipv6"].partition("/")[0]]
    assert ask(console, "web", "web") == [endpoint["ipv4"].partition("/")[0]]


def test_a_shared_sandbox_asks_the_same_server(console: Console) -> None:
    console.network("app")
    console.run("web", network="app")
    console.run("beside", network="container:web")
    console.run("db", network="app")
    assert within(console, "beside", "getent", "hosts", "db").split()[0] == console.address("db")
    console.remove("beside")


def test_other_names_are_asked_of_the_hosts_servers_and_fail_over(fresh: Console) -> None:
    console = fresh
    upstream(console, "203.0.113.53", "198.51.100.1")
    upstream(console, "203.0.113.54", "198.51.100.2")
    console.network("app")
    console.run("web", network="app")
    console.run("own", network="app", dns=["203.0.113.99", "203.0.113.54"])
    assert ask(console, "web", "example.org") == ["198.51.100.1"]
    assert ask(console, "web", "example.org", "A", "+tcp") == ["198.51.100.1"]
    assert ask(console, "own", "example.org") == ["198.51.100.2"], "the first of its servers is not there"
    assert "198.51.100.1" in within(console, "web", "getent", "ahostsv4", "example.org")


def test_on_an_internal_network_nobody_outside_is_asked(fresh: Console) -> None:
    console = fresh
    upstream(console, "203.0.113.53", "198.51.100.1")
    console.network("inner", internal=True)
    console.run("web", network="inner")
    assert ask(console, "web", "web") == [console.address("web")]
    assert status(console, "web", "example.org") == "SERVFAIL"
    console.network("app")
    console.call("POST", "networks/app/connect", {"container": "web"})
    assert ask(console, "web", "example.org") == ["198.51.100.1"]


@pytest.fixture
def fresh() -> Iterator[Console]:
    """A product of the test's own, for tests that break it."""
    with Product() as product:
        yield Console(product)


def test_names_go_on_while_the_worker_is_dead_and_after_it_is_back(fresh: Console) -> None:
    console = fresh
    console.network("app")
    console.run("web", network="app")
    console.run("db", network="app")
    sandbox, db = console.sandbox("web"), console.address("db")
    console.product.kill("kernel")
    asked = console.bottle.run(["dig", "+short", "@127.0.0.11", "db"], netns=sandbox).stdout.split()
    assert asked == [db]
    number = console.get("operations")["results"][0]["number"]
    console.product.restart("kernel")
    assert ask(console, "web", "db") == [db]
    opened = [made["verb"] for made in console.get("operations")["results"] if made["number"] > number]
    assert not opened, "a start that finds nothing to do opens no operation"


def test_the_name_server_killed_comes_back_with_every_name_and_containers_run_on(console: Console) -> None:
    console.network("app")
    console.run("web", network="app")
    console.run("db", network="app")
    db, pid = console.address("db"), console.get("containers/web")["pid"]
    console.product.restart("dns")
    assert console.until(lambda: ask(console, "web", "db") == [db])
    console.run("late", network="app")
    assert ask(console, "web", "late") == [console.address("late")]
    assert console.get("containers/web")["pid"] == pid
    assert console.get("drift")["results"] == []


@pytest.mark.long
def test_after_a_reboot_names_are_there_again(fresh: Console) -> None:
    console = fresh
    console.network("app")
    console.run("web", network="app")
    console.run("db", network="app")
    console.product.reboot()
    assert console.until(lambda: console.get("containers/db")["state"] == "running")
    assert console.until(lambda: ask(console, "web", "db") == [console.address("db")])


def test_rules_flushed_in_a_sandbox_are_drift_and_are_repaired(console: Console) -> None:
    console.network("app")
    console.run("web", network="app")
    console.bottle.run(["nft", "flush", "ruleset"], netns=console.sandbox("web"))
    assert ask(console, "web", "web", "A", "+time=1") != [console.address("web")]
    console.call("POST", "drift/look", {})
    assert console.until(lambda: any("127.0.0.11" in row["text"] for row in console.get("drift")["results"]))
    console.call("POST", "drift/repair", {})
    assert ask(console, "web", "web") == [console.address("web")]


def test_everything_of_it_goes_with_the_container(console: Console) -> None:
    before = console.bottle.dump()
    console.network("app")
    console.run("web", network="app")
    console.run("db", network="app")
    console.remove("web", "db")
    console.call("DELETE", "networks/app")
    assert console.bottle.dump() == before
