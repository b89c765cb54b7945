"""The embedded DNS server's real processes: who asks gets answers, whatever dies, and nothing is in anybody's way."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from networks.cnm.plan import Step
from tests.testlib.bottle import Bottle
from tests.testlib.bottle import inside as in_bottle

from .dns_lab import (
    SOCKET,
    dig,
    dns,
    in_namespace,
    inside,
    namespaces,
    record,
    run,
    sandbox,
    sandbox_name,
    server,
    socket_inside,
    until,
)

pytestmark = pytest.mark.kernel

WEB = record(1, "web", "10.0.0.2", aliases=("www", "shared"))
DB = record(2, "db", "10.0.0.3", aliases=("shared",))


def asks_by_every_program(flavour: str, naming: str) -> None:
    with dns(flavour, naming) as made:
        served = sandbox()
        made.make(served, WEB, DB)
        assert dig(1, "web") == ["10.0.0.2"]
        assert dig(1, "+tcp", "shared") == ["10.0.0.2", "10.0.0.3"]
        assert "10.0.0.3" in inside(1, "getent", "ahostsv4", "db")
        assert "10.0.0.2" in inside(1, "busybox", "nslookup", "WWW.app", "127.0.0.11")
        assert inside(1, "getent", "hosts", "10.0.0.3").split() == ["10.0.0.3", "db.app"]
        assert list(made.handler.observe([served.key, WEB.key])) == [served, WEB]
        with in_namespace(f"/run/netns/{sandbox_name(1)}"):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                own = socket.socket(socket.AF_INET, kind)
                own.bind(("", 53))  # the container's own port 53
                if kind == socket.SOCK_STREAM:
                    own.listen()
        assert dig(1, "web") == ["10.0.0.2"], "with a server of the container's own on port 53"


@pytest.mark.parametrize("naming", ["cnm", "docker"])
@pytest.mark.parametrize("flavour", ["iptables-nft", "iptables-legacy"])
def test_every_program_finds_every_name_and_port_53_stays_free(bottle: Bottle, flavour: str, naming: str) -> None:
    bottle.call(asks_by_every_program, flavour, naming)


def inside_rules(flavour: str) -> str:
    with dns(flavour, "docker") as made:
        made.make(sandbox())
        return run("ip", "netns", "exec", sandbox_name(1), f"{flavour}-save", "-t", "nat")


@pytest.mark.parametrize("flavour", ["iptables-nft", "iptables-legacy"])
def test_in_docker_naming_the_sandbox_has_dockers_rules_line_for_line(bottle: Bottle, flavour: str) -> None:
    captured = Path(__file__).parents[1] / "golden/captures/dns-options/pnet1.sandbox-iptables"
    saved = re.sub(r"(127\.0\.0\.11:|--sport )\d+", r"\1<port>", bottle.call(inside_rules, flavour))
    lines = [re.sub(r"\[\d+:\d+\]", "[0:0]", line) for line in saved.splitlines() if line[:1] in "*:-C"]
    assert [line for line in lines if line] == captured.read_text().splitlines()


@in_bottle
def test_who_parses_packets_is_not_root_and_can_gain_nothing() -> None:
    with dns() as made:
        made.make(sandbox(), WEB)
        assert dig(1, "web")
        lines = Path(f"/proc/{made.resolver()}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65534"}
        assert status["Groups"].strip() == ""
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
        assert status["NoNewPrivs"] == "1"


@in_bottle
def test_a_resolver_that_is_killed_is_replaced_and_what_was_asked_meanwhile_is_answered() -> None:
    with dns() as made:
        served = sandbox()
        made.make(served, WEB)
        assert dig(1, "web") == ["10.0.0.2"]
        first = made.resolver()
        os.kill(first, signal.SIGSTOP)
        with socket_inside(1) as client:
            client.settimeout(20)
            client.sendto(bytes.fromhex("abcd01000001000000000000") + b"\x03web\0\0\1\0\1", ("127.0.0.11", 53))
            os.kill(first, signal.SIGKILL)
            assert client.recv(512).endswith(bytes([10, 0, 0, 2]))
        assert made.resolver() != first
        assert list(made.handler.observe([served.key])) == [served], "sockets and rules are the same"
        made.make(DB)
        assert dig(1, "db") == ["10.0.0.3"]


@in_bottle
def test_a_resolver_that_hangs_is_replaced_when_the_worker_has_something_to_say() -> None:
    with dns() as made:
        made.make(sandbox(), WEB)
        os.kill(made.resolver(), signal.SIGSTOP)
        made.make(DB)
        assert dig(1, "db") == ["10.0.0.3"]


@in_bottle
def test_an_opener_that_is_killed_goes_on_where_it_was_without_the_worker() -> None:
    with dns() as made:
        served = sandbox()
        made.make(served, WEB, DB)
        made.remove(DB)
        made.kill_opener()
        assert dig(1, "+time=1", "web") != ["10.0.0.2"]
        made.start()
        assert until(lambda: dig(1, "web") == ["10.0.0.2"])
        assert dig(1, "+time=1", "db") != ["10.0.0.3"]
        assert list(made.handler.observe(None)) == [served, WEB]


@in_bottle
def test_it_goes_on_without_the_sandboxes_that_went_while_it_was_away() -> None:
    with dns() as made:
        made.make(sandbox(1), sandbox(2), WEB)
        made.kill_opener()
        namespaces().let_go(sandbox_name(1))
        sandbox(1)  # another namespace by the same name
        made.start()
        assert until(lambda: dig(2, "web") == ["10.0.0.2"])
        assert [item.sandbox for item in made.handler.observe([server(1).key, server(2).key])] == [sandbox_name(2)]


@in_bottle
def test_a_sandbox_that_is_no_longer_served_ends_with_its_name() -> None:
    with dns() as made:
        served = sandbox()
        run("ip", "link", "add", "probe", "type", "veth", "peer", "name", "eth0", "netns", sandbox_name(1))
        made.make(served, WEB)
        with socket_inside(1, socket.SOCK_STREAM) as client:
            client.connect(("127.0.0.11", 53))  # a connection that stays open
            assert dig(1, "web") == ["10.0.0.2"]
            made.remove(served)
        namespaces().let_go(sandbox_name(1))
        until(lambda: "probe" not in run("ip", "link"))
        assert made.handler.observe([served.key]) == ()


@in_bottle
def test_a_sandbox_that_was_made_anew_is_served_anew() -> None:
    with dns() as made:
        served = sandbox()
        made.make(served, WEB)
        namespaces().let_go(sandbox_name(1))
        sandbox()
        (seen,) = made.handler.observe([served.key])
        assert not seen.up  # type: ignore[union-attr]
        made.apply(Step(seen, served))
        assert dig(1, "web") == ["10.0.0.2"]


def flush_and_mend(flavour: str, naming: str, *flush: str) -> None:
    with dns(flavour, naming) as made:
        served = sandbox()
        made.make(served, WEB)
        inside(1, *flush)
        (seen,) = made.handler.observe([served.key])
        assert not seen.up  # type: ignore[union-attr]
        for _ in range(2):  # the second time everything stands already
            made.apply(Step(seen, served))
            assert list(made.handler.observe([served.key])) == [served]
            assert dig(1, "web") == ["10.0.0.2"]
        rules = inside(1, flavour if naming == "docker" else "iptables-legacy", "-t", "nat", "-S")
        assert rules.count("-A OUTPUT") <= 1


@pytest.mark.parametrize(
    ("flavour", "naming", "flush"),
    [
        ("iptables-nft", "cnm", ("nft", "flush", "ruleset")),
        ("iptables-nft", "docker", ("iptables-nft", "-t", "nat", "-F", "DOCKER_OUTPUT")),
        ("iptables-legacy", "cnm", ("iptables-legacy", "-t", "nat", "-F")),
    ],
)
def test_rules_flushed_inside_are_seen_and_mended(
    bottle: Bottle, flavour: str, naming: str, flush: tuple[str, ...]
) -> None:
    bottle.call(flush_and_mend, flavour, naming, *flush)


@in_bottle
def test_a_namespace_that_is_not_there_is_refused_by_name_and_changes_nothing() -> None:
    from networks.cnm.errors import KernelRefused

    with dns() as made:
        done: list[Step] = []
        good = sandbox(1)
        with pytest.raises(KernelRefused) as refusal:
            made.handler.apply([Step(None, good), Step(None, server(9)), Step(None, WEB)], done.append)
        assert refusal.value.facts["key"] == ["dns", sandbox_name(9)]
        assert done == []
        assert made.handler.observe(None) == ()


@in_bottle
def test_a_long_answer_is_cut_by_udp_and_whole_by_tcp() -> None:
    with dns() as made:
        crowd = [record(n, f"w{n}", f"10.1.{n // 250}.{n % 250 + 1}", aliases=("all",)) for n in range(500)]
        made.make(sandbox(), *crowd)
        assert "flags: qr tc rd ra" in inside(1, "dig", "+ignore", "+noedns", "all")
        assert len(dig(1, "all")) == 500, "dig asks again by TCP"
        assert len(dig(1, "+bufsize=1232", "+ignore", "all")) in range(60, 80)


@in_bottle
def test_many_questions_over_one_connection() -> None:
    with dns() as made:
        made.make(sandbox(), WEB)
        with socket_inside(1, socket.SOCK_STREAM) as client:
            client.settimeout(10)
            client.connect(("127.0.0.11", 53))
            question = bytes.fromhex("00000100000100000000") + b"\0\0" + b"\x03web\0\0\1\0\1"
            for number in range(200):
                client.sendall(len(question).to_bytes(2, "big") + number.to_bytes(2, "big") + question[2:])
            stream = client.makefile("rb")
            for number in range(200):
                reply = stream.read(int.from_bytes(stream.read(2), "big"))
                assert reply[:2] == number.to_bytes(2, "big")
                assert reply.endswith(bytes([10, 0, 0, 2]))


@in_bottle
def test_neither_garbage_nor_half_open_connections_stop_it() -> None:
    dice = random.Random(7)
    with dns() as made:
        made.make(sandbox(), WEB)
        assert dig(1, "web") == ["10.0.0.2"]
        pid = made.resolver()
        good = bytes.fromhex("abcd01000001000000000000") + b"\x03web\0\0\1\0\1"
        with socket_inside(1) as client:
            for _ in range(20_000):
                packet = bytearray(good if dice.random() < 0.7 else dice.randbytes(dice.randrange(600)))
                for _ in range(dice.randrange(4)):
                    if packet:
                        packet[dice.randrange(len(packet))] = dice.randrange(256)
                client.sendto(packet[: dice.randrange(len(packet) + 1)] or b"", ("127.0.0.11", 53))
        idle = []
        for number in range(200):
            sock = socket_inside(1, socket.SOCK_STREAM)
            sock.settimeout(5)
            sock.connect(("127.0.0.11", 53))
            if number % 2:
                sock.sendall(dice.randbytes(dice.randrange(1, 99)))
            idle.append(sock)
        assert until(lambda: dig(1, "web") == ["10.0.0.2"])
        for sock in idle:
            sock.close()
        assert until(lambda: dig(1, "+tcp", "web") == ["10.0.0.2"])
        assert made.resolver() == pid


@in_bottle
def test_nobody_but_root_may_tell_it_anything_and_nonsense_is_refused() -> None:
    from worker.apply.names import _exchange

    speak = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/dns.sock');"
        " s.sendall(b'{}\\n'); print(s.recv(99))"
    )
    with dns() as made:
        assert SOCKET.stat().st_mode & 0o777 == 0o600
        SOCKET.chmod(0o666)  # even so
        stranger = subprocess.run([sys.executable, "-c", speak], user=65534, capture_output=True, check=False, cwd="/")
        assert b"ok" not in stranger.stdout
        good = {"sandbox": sandbox_name(1), "networks": [], "links": [], "servers": []}
        good |= {"inside": False, "forwards": True, "keeps_single_labels": False}
        for nonsense in (
            {"serve": 7},
            {"serve": [{}]},
            {"serve": [good | {"sandbox": "../../proc/1/ns/net"}]},
            {"serve": [good | {"networks": [1]}]},
            {"stop": ["default"]},
            {"names": [{"network": "x"}]},
            {"forget": [["a"]]},
        ):
            assert _exchange(SOCKET, nonsense) == {"ok": False, "code": "malformed"}, nonsense
        made.make(sandbox(), WEB)
        assert dig(1, "web") == ["10.0.0.2"]


@in_bottle
def test_names_are_there_when_the_worker_has_its_answer_and_gone_likewise() -> None:
    with dns() as made:
        made.make(sandbox())
        question = bytes.fromhex("abcd01000001000000000000") + b"\x04name\0\0\1\0\1"
        with socket_inside(1) as client:
            client.settimeout(10)
            client.connect(("127.0.0.11", 53))
            for number in range(100):
                made.make(record(1, "name", f"10.3.0.{number + 1}"))
                client.send(question)
                assert client.recv(512)[-1] == number + 1
            made.remove(record(1, "name", "10.3.0.100"))
            client.send(question)
            assert client.recv(512)[3] & 0xF == 2, "nobody is left to ask: SERVFAIL"


@in_bottle
def test_hundreds_of_sandboxes_are_served_by_one_process_and_come_back_together() -> None:
    with dns() as made:
        count = 300
        made.make(*(sandbox(n) for n in range(1, count + 1)), WEB)
        assert dig(count, "web") == ["10.0.0.2"]
        os.kill(made.resolver(), signal.SIGKILL)
        assert until(lambda: dig(count, "+time=2", "web") == ["10.0.0.2"] and dig(1, "+time=2", "web") == ["10.0.0.2"])
        made.remove(*(server(n) for n in range(1, count + 1)))
        assert [item.kind for item in made.handler.observe(None)] == ["name"]


def start_and_stop() -> list[int]:
    with dns() as made:
        made.make(sandbox(), WEB)
        pid = made.resolver()
    until(lambda: not Path(f"/proc/{pid}").exists())
    return [int(SOCKET.exists())]


def test_with_the_opener_the_resolver_ends(bottle: Bottle) -> None:
    assert bottle.call(start_and_stop) == [0]
