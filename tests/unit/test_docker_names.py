"""Whose an engine's rules are: what its socket says, as a Docker Engine 20.10 answers, and the rules that it wrote for that."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from networks.audit import Beside, join
from worker.observe.docker import observe_docker

NETWORK = "73d8d46728121a1fadf3cc0ccccae4fdec24c9ba373180fc4ae76ce60bbd22fa"
ANSWERS: dict[str, Any] = {
    "/containers/json": [
        {
            "Id": "f" * 64,
            "Names": ["/web"],
            "NetworkSettings": {"Networks": {"shop": {"IPAddress": "172.18.0.2", "GlobalIPv6Address": ""}}},
        }
    ],
    "/networks": [
        {
            "Name": "shop",
            "Id": NETWORK,
            "Driver": "bridge",
            "IPAM": {
                "Driver": "default",
                "Options": None,
                "Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}],
            },
            "Options": {},
        },
        {"Name": "host", "Id": "9" * 64, "Driver": "host", "IPAM": {"Config": []}, "Options": {}},
        {
            "Name": "bridge",
            "Id": "6" * 64,
            "Driver": "bridge",
            "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]},
            "Options": {"com.docker.network.bridge.name": "docker0"},
        },
    ],
}
RULES = {
    "-A DOCKER ! -i br-73d8d4672812 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80": (
        "container",
        "web",
    ),
    "-A DOCKER -d 172.18.0.2/32 ! -i br-73d8d4672812 -o br-73d8d4672812 -p tcp -m tcp --dport 80 -j ACCEPT": (
        "container",
        "web",
    ),
    "-A POSTROUTING -s 172.18.0.2/32 -d 172.18.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE": ("container", "web"),
    "-A FORWARD -i br-73d8d4672812 -o br-73d8d4672812 -j ACCEPT": ("network", "shop"),
    "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE": ("network", "bridge"),
}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(ANSWERS.get(self.path, {"message": "page not found"})).encode()
        self.send_response(200 if self.path in ANSWERS else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output is its own."""


@contextmanager
def engine(path: Path) -> Iterator[str]:
    with socketserver.UnixStreamServer(str(path), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield str(path)
        server.shutdown()
        thread.join()


def test_an_engines_rules_are_named_by_the_container_or_the_network_that_needs_them(tmp_path: Path) -> None:
    with engine(tmp_path / "docker.sock") as path:
        seen = observe_docker(path)
    assert [(one["kind"], one["name"]) for one in seen] == [
        ("container", "web"),
        ("network", "shop"),
        ("network", "bridge"),
    ]
    rows = [
        {"flavour": "iptables-nft", "family": 4, "table": "nat", "chain": text.split()[1], "position": 1, "text": text}
        for text in (*RULES, "-A FORWARD -i eth7 -j DROP", "-A DOCKER-USER -j RETURN")
    ]
    found = {row["text"]: row for row in join(rows, [], None, Beside.of({"docker": seen}))}
    assert {text: (row["foreign_class"], row["foreign_object"]) for text, row in found.items()} == {
        **{text: ("docker", {"kind": kind, "name": name}) for text, (kind, name) in RULES.items()},
        "-A FORWARD -i eth7 -j DROP": ("unknown", None),
        "-A DOCKER-USER -j RETURN": ("docker", None),
    }


def test_an_engine_that_is_not_there_or_answers_nonsense_costs_nothing(tmp_path: Path) -> None:
    assert observe_docker(str(tmp_path / "nothing")) == []
    (tmp_path / "file").write_text("no socket")
    assert observe_docker(str(tmp_path / "file")) == []
    with engine(tmp_path / "docker.sock") as path:
        kept, ANSWERS["/networks"] = ANSWERS["/networks"], {"message": "odd"}
        try:
            assert [one["kind"] for one in observe_docker(path)] == ["container"]
        finally:
            ANSWERS["/networks"] = kept
