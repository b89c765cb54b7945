"""Plugins of others: where they are found, how they are asked, and when they are left alone."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from networks.cnm.errors import NotFound, PluginRefused, Unavailable
from networks.cnm.facts import HostFacts
from networks.cnm.plugins import Plugin as Seen
from networks.cnm.text import Text
from worker.plugins.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker
from worker.plugins.call import MOST_BYTES, Malformed, Refused, Unheard, call
from worker.plugins.find import Address, Tls, find_plugins
from worker.plugins.plugins import Plugins

CUT_SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
Answer = Callable[[bytes, socket.socket], None]


def listening(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(8)
    return listener


@contextmanager
def serving(path: Path, answer: Answer) -> Iterator[list[bytes]]:
    """A server of one Unix socket that hands what it reads of each connection to *answer*; gives all that it read."""
    read: list[bytes] = []
    listener = listening(path)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                head = b""
                while b"\r\n\r\n" not in head and (more := connection.recv(4096)):
                    head += more
                if head:
                    read.append(head)
                    answer(head, connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield read
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def said(text: str, status: str = "200 OK") -> Answer:
    data = f"HTTP/1.1 {status}\r\nContent-Length: {len(text.encode())}\r\n\r\n{text}".encode()
    return lambda _head, connection: connection.sendall(data)


def at(path: Path) -> Address:
    return Address(name="weave", url=f"unix://{path}", socket=str(path))


def plugin_answers(**answers: object) -> Answer:
    """By method (``Plugin_Activate``) what is answered as JSON."""

    def answer(head: bytes, connection: socket.socket) -> None:
        method = head.split(b" ")[1].decode().lstrip("/").replace(".", "_")
        text = json.dumps(answers.get(method, {"Err": "what?"}))
        said(text)(head, connection)

    return answer


def test_sockets_come_before_files_and_the_first_folder_before_the_next(tmp_path: Path) -> None:
    run, etc, lib = (tmp_path / name for name in ("run", "etc", "lib"))
    etc.mkdir()
    lib.mkdir()
    sockets = [listening(run / "weave.sock"), listening(run / "calico" / "calico.sock")]
    (run / "stray.sock").write_text("no socket")
    (etc / "weave.spec").write_text("tcp://192.0.2.1:80")
    (etc / "far.spec").write_text(" tcp://192.0.2.7:8080\n")
    (lib / "far.spec").write_text("unix:///elsewhere")
    (lib / "near.spec").write_text("unix:///run/near.sock")
    (lib / "secure.json").write_text(
        json.dumps({"Name": "x", "Addr": "https://plugin.example", "TLSConfig": {"CAFile": "/ca", "CertFile": "/c"}})
    )
    (lib / "open.json").write_text(
        json.dumps({"Addr": "https://192.0.2.9:1", "TLSConfig": {"InsecureSkipVerify": True}})
    )
    (lib / "not a name.spec").write_text("unix:///x")
    try:
        found = find_plugins([run, etc, lib, tmp_path / "absent"])
        others = find_plugins([run], besides=str(run / "weave.sock"))
    finally:
        for one in sockets:
            one.close()
    assert list(found) == ["calico", "far", "near", "open", "secure", "weave"]
    assert list(others) == ["calico"]  # we are no plugin of ourselves
    assert found["weave"].socket == str(run / "weave.sock")
    assert found["calico"].socket == str(run / "calico/calico.sock")
    assert (found["far"].host, found["far"].port, found["far"].tls) == ("192.0.2.7", 8080, None)
    assert found["near"].socket == "/run/near.sock"
    assert (found["secure"].port, found["secure"].tls) == (443, Tls(ca="/ca", cert="/c"))
    assert found["open"].tls == Tls(verified=False)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.spec", "weave at home", "is no address"),
        ("a.spec", "unix://run/x", "no path from the root"),
        ("a.spec", "tcp://", "names no host"),
        ("a.json", "{", "Expecting"),
        ("a.json", "[1]", "no JSON object"),
        ("a.json", '{"Addr": "tcp://h:1", "TLSConfig": 7}', "TLSConfig"),
        ("a.json", "{}", "is no address"),
        ("a.json", "[" * 5000, "nested too deeply"),
        ("a.spec", "tcp://h:70000", "Port out of range"),
        ("a.spec", "tcp://a..b:1", "label empty or too long"),
    ],
)
def test_a_file_that_names_no_plugin_is_a_plugin_with_a_fault(tmp_path: Path, name: str, text: str, fault: str) -> None:
    (tmp_path / name).write_text(text)
    found = find_plugins([tmp_path])["a"]
    assert fault in found.fault
    (seen,) = Plugins([tmp_path], 1).look({})
    assert seen.degraded
    assert fault in str(seen.problem)
    with pytest.raises(Unavailable, match="a"):
        Plugins([tmp_path], 1).named("a")


def test_a_call_is_a_post_in_the_protocols_words(tmp_path: Path) -> None:
    with serving(tmp_path / "s", said('{"Scope": "local"}')) as read:
        assert call(at(tmp_path / "s"), "NetworkDriver.GetCapabilities", None, 2) == {"Scope": "local"}
        assert call(at(tmp_path / "s"), "NetworkDriver.Leave", {"NetworkID": "n"}, 2) == {"Scope": "local"}
    assert read[0].startswith(b"POST /NetworkDriver.GetCapabilities HTTP/1.1\r\n")
    assert b"Accept: application/vnd.docker.plugins.v1.2+json" in read[0]
    assert b"Content-Length: 0" in read[0]
    assert b"Content-Length: 18" in read[1]


def test_an_empty_answer_is_an_empty_object(tmp_path: Path) -> None:
    with serving(tmp_path / "s", said("")):
        assert call(at(tmp_path / "s"), "NetworkDriver.Leave", {}, 2) == {}


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (said('{"Err": "no such network"}'), Refused, "no such network"),
        (said('{"Err": "no such network"}', "500 Internal Server Error"), Refused, "no such network"),
        (said("it broke\nbadly", "500 Internal Server Error"), Refused, "it broke badly"),
        (said("404 page not found", "404 Not Found"), Refused, "404 page not found"),
        (said("<html>"), Malformed, "<html>"),
        (said("[1, 2]"), Malformed, "no JSON object"),
        (said("[" * 100_000), Malformed, "no JSON object"),
        (said(f'{{"x": "{"y" * MOST_BYTES}"}}'), Malformed, "more than"),
        (lambda _head, connection: connection.sendall(b"SSH-2.0-hello\r\n\r\n"), Malformed, "no HTTP"),
        (lambda _head, connection: connection.sendall(CUT_SHORT), Unheard, "hung up"),
        (lambda _head, _connection: None, Unheard, "hung up"),
    ],
    ids=["err", "500-err", "500", "404", "html", "list", "deep", "long", "ssh", "cut-short", "closed"],
)
def test_what_is_no_answer_says_which_kind_of_none(
    tmp_path: Path, answer: Answer, error: type[Exception], words: str
) -> None:
    with serving(tmp_path / "s", answer), pytest.raises(error, match=words) as raised:
        call(at(tmp_path / "s"), "NetworkDriver.Join", {}, 5)
    assert len(str(raised.value)) < 500


def test_a_method_that_the_plugin_does_not_know_is_told_apart(tmp_path: Path) -> None:
    with serving(tmp_path / "s", said("404 page not found", "404 Not Found")), pytest.raises(Refused) as unknown:
        call(at(tmp_path / "s"), "NetworkDriver.ProgramExternalConnectivity", {}, 2)
    assert unknown.value.unknown


def test_a_plugin_that_dribbles_is_not_waited_for_longer_than_one_that_is_silent(tmp_path: Path) -> None:
    def dribble(_head: bytes, connection: socket.socket) -> None:
        for letter in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 400:
            connection.sendall(bytes([letter]))
            time.sleep(0.02)

    with serving(tmp_path / "s", dribble), pytest.raises(Unheard, match=r"within 0\.3 s"):
        call(at(tmp_path / "s"), "NetworkDriver.Join", {}, 0.3)


def test_nobody_at_the_socket_is_no_answer(tmp_path: Path) -> None:
    listening(tmp_path / "s").close()
    with pytest.raises(Unheard, match="refused"):
        call(at(tmp_path / "s"), "NetworkDriver.Join", {}, 1)


def test_the_breakers_pause_doubles_and_ends_with_the_first_success() -> None:
    now = 100.0
    breaker = Breaker(clock=lambda: now)
    assert breaker.lets_through()
    pauses = []
    for _ in range(6):
        breaker.failed("silent")
        assert not breaker.lets_through()
        pauses.append(breaker.wait_s())
        now += pauses[-1]
        assert breaker.lets_through(), "one call is let through after the pause"
    assert pauses == [FIRST_PAUSE_S, 10, 20, 40, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    breaker.worked()
    assert (breaker.is_closed, breaker.reason, breaker.wait_s()) == (True, "", 0)
    breaker.failed("silent again")
    assert breaker.wait_s() == FIRST_PAUSE_S


def test_a_plugin_says_once_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "weave.sock"
    answers = plugin_answers(
        Plugin_Activate={"Implements": ["NetworkDriver", "IpamDriver"]},
        NetworkDriver_GetCapabilities={"Scope": "local", "ConnectivityScope": "global"},
    )
    plugins = Plugins([tmp_path], 2)
    with serving(path, answers) as read:
        (seen,) = plugins.look({"weave": 2})
        assert (seen.name, seen.implements, seen.scope, seen.connectivity) == (
            "weave",
            ("NetworkDriver", "IpamDriver"),
            "local",
            "global",
        )
        assert (seen.degraded, seen.owed) == (False, 2)
        assert plugins.named("weave").capabilities["IpamDriver"] == {}, "an IPAM plugin need not have any"
        count = len(read)
        plugins.look({})
        plugins.named("weave")
        assert len(read) == count, "asked again for nothing"


def test_a_plugin_that_falls_silent_is_degraded_is_left_alone_and_comes_back_with_its_next_start(
    tmp_path: Path,
) -> None:
    path = tmp_path / "weave.sock"
    well = plugin_answers(Plugin_Activate={"Implements": ["NetworkDriver"]}, NetworkDriver_GetCapabilities={})
    plugins = Plugins([tmp_path], 0.2)
    with serving(path, well):
        assert not plugins.look({})[0].degraded
    (seen,) = plugins.look({})
    assert "does not answer" in str(seen.problem)
    assert seen.since
    plugin = plugins.named("weave")
    with pytest.raises(Unavailable, match=r"weave does not answer NetworkDriver\.Join") as refused:
        plugin.ask("NetworkDriver.Join", {})
    assert refused.value.facts == {"plugin": "weave", "method": "NetworkDriver.Join"}
    path.unlink()
    with serving(path, well) as read:
        assert plugins.named("weave").ask.__self__ is not plugin, "started anew: nobody waits for the pause"
        assert not plugins.look({})[0].degraded
        assert read
    path.unlink()
    assert "in none of the folders" in str(plugins.look({"weave": 0})[0].problem)
    assert plugins.look({}) == (), "one that nothing of ours is with is forgotten"
    with pytest.raises(NotFound, match="weave"):
        plugins.named("weave")


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"Plugin_Activate": {"Implements": []}}, PluginRefused),
        ({"Plugin_Activate": {"Err": "not today"}}, PluginRefused),
        ({"Plugin_Activate": {"Implements": ["NetworkDriver"]}}, PluginRefused),
    ],
)
def test_one_that_does_not_say_what_it_is_has_no_networks(
    tmp_path: Path, answers: dict[str, object], error: type[Exception]
) -> None:
    with serving(tmp_path / "weave.sock", plugin_answers(**answers)), pytest.raises(error):
        Plugins([tmp_path], 2).named("weave")


def test_facts_of_plugins_survive_being_stored() -> None:
    seen = Seen(
        name="weave",
        address="unix:///x",
        implements=("NetworkDriver",),
        problem=Text.of("It does not answer: {cause}.", cause="no"),
        since="2026-01-01T00:00:00+00:00",
        owed=3,
    )
    facts = HostFacts(plugins=(seen,))
    assert HostFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts
    assert facts.plugin("weave") == seen
    assert facts.plugin("nosuch") is None
