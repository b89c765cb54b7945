"""Starts that are not as usual: what the host lacks, what stands there already, and what its admin does about it."""

from __future__ import annotations

import json
import sys
import time

import pytest

from tests.testlib.bottle import REPOSITORY
from tests.testlib.product import START_TIMEOUT_S, Product, accepts

from .conftest import Console

pytestmark = pytest.mark.kernel

XTABLES = ("/usr/sbin/xtables-nft-multi", "/usr/sbin/xtables-legacy-multi")
LOADER = """#!/bin/sh
# In modprobe's place: this kernel has everything built in, so the bridge's sysctls were hidden, and loading br_netfilter shows them.
echo "$@" >>/run/modprobe.log
case "$*" in *--dry-run*) ;; *br_netfilter*) umount /proc/sys/net/bridge ;; esac
"""


class Prepared(Product):
    """A product on a host on which *commands* were run before its first start."""

    def __init__(self, commands: list[list[str]], env: dict[str, str] | None = None, loader: bool = False) -> None:
        super().__init__({"PATH": "/run/bin:/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})})
        self.before_start, self.loader = commands, loader

    def _database(self) -> None:
        if self.loader:
            self.bottle.write("/run/bin/modprobe", LOADER)
            (self.bottle.root / "run/bin/modprobe").chmod(0o755)
        for command in self.before_start:
            self.bottle.run(command)
        super()._database()

    def _kind(self) -> str:
        return json.dumps([super()._kind(), self.before_start, self.loader])


WATCHED = """#!/bin/sh
echo "${0##*/}" >>/run/writes
exec "/usr/sbin/${0##*/}" "$@"
"""
"""In the place of a program that writes rules: says that it was called. The legacy flavour has no sign of a write of its own."""


def test_a_restart_with_nothing_changed_writes_no_rule_of_the_legacy_flavour() -> None:
    with Prepared([["iptables-legacy", "-A", "INPUT", "-j", "ACCEPT"]]) as product:
        console = Console(product)
        assert console.get("hosts/local")["firewall_backend"] == "iptables-legacy"
        for family in ("ip", "ip6"):
            program = f"/run/bin/{family}tables-legacy-restore"
            console.bottle.write(program, WATCHED)
            (console.bottle.root / program.lstrip("/")).chmod(0o755)
        console.network("app", enable_ipv6=True)
        console.run("web", network="app", ports=["8080:80"])
        before = console.bottle.read("/run/writes")
        assert {"iptables-legacy-restore", "ip6tables-legacy-restore"} <= set(before.split())
        product.restart("kernel")
        assert console.until(lambda: console.get("hosts")["results"][0]["alive"])
        console.until(lambda: not (console.bottle.root / "run/cnm/busy").exists())
        assert console.bottle.read("/run/writes") == before
        assert "--dport 8080" in console.bottle.run(["iptables-legacy", "-t", "nat", "-S"]).stdout


def hide(*paths: str) -> list[list[str]]:
    """Programs that are not installed: what is no file that can be run is not found."""
    return [["mount", "--bind", "/dev/null", path] for path in paths]


def test_beside_a_docker_engines_bridge_the_default_bridge_takes_the_next_pool() -> None:
    engine = ["ip link add docker0 type bridge", "ip addr add 172.17.0.1/16 dev docker0", "ip link set docker0 up"]
    with Prepared([words.split() for words in engine]) as product:
        console = Console(product)
        assert console.get("networks/bridge")["subnets"][0]["subnet"] == "172.18.0.0/16"
        addresses = {link["ifname"]: link["addr_info"] for link in console.bottle.ip("-4", "addr")}
        assert [item["local"] for item in addresses["cnm0"]] == ["172.18.0.1"]
        assert [item["local"] for item in addresses["docker0"]] == ["172.17.0.1"]


class WithoutWorker(Prepared):
    """One whose worker is not waited for."""

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not accepts(self.bottle.root / "run/cnm/web.sock"):
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.05)


def test_a_worker_that_cannot_start_says_why_everywhere_and_starts_when_the_remedy_is_followed() -> None:
    with WithoutWorker([["iptables", "-N", "DOCKER"]], {"CNM_NAMES": "docker"}) as product:
        console = Console(product)
        reason = "a Docker Engine runs here, or has run."
        error = console.until(lambda: console.get("hosts")["results"][0]["error"], 30)
        assert reason in error["sentence"]["template"]
        assert f"{reason} Set CNM_NAMES to cnm" in product.manage("worker_error")
        check = [sys.executable, REPOSITORY / "manage.py", "check", "--database", "default"]
        assert "cnm.W003" in product.bottle.run(check, env=product.env).stderr
        assert product.api.get("/health").json()["workers"] == {"alive": 0, "silent": 1, "failed": 1}
        refused = console.raw("POST", "networks", {"name": "app"})
        assert refused.status_code == 503
        assert reason in refused.json()["detail"]

        console.bottle.run(["iptables", "-X", "DOCKER"])
        assert console.until(lambda: console.get("hosts")["results"][0]["alive"], 30)
        assert console.until(lambda: console.get("hosts")["results"][0]["error"] is None)
        assert product.manage("worker_error") == ""
        console.network("app")


@pytest.mark.long
def test_without_any_iptables_it_starts_when_no_rules_are_wanted() -> None:
    with Prepared(hide(*XTABLES, "/usr/sbin/nft"), {"CNM_IPTABLES": "false"}) as product:
        console = Console(product)
        assert console.bottle.run(["iptables", "-S"], check=False).returncode != 0
        assert console.get("hosts")["results"][0]["firewall_backend"] == "none"
        console.run("web")
        assert console.until(lambda: console.get("containers/web")["state"] == "running")


@pytest.mark.long
def test_a_remedy_that_was_followed_is_seen_without_a_reboot() -> None:
    with Prepared(hide("/usr/bin/umoci")) as product:
        console = Console(product)

        def present(key: str) -> bool:
            features = console.get("hosts")["results"][0]["features"]
            return bool(next(item["present"] for item in features if item["key"] == key))

        assert not present("program.umoci")
        console.bottle.run(["umount", "/usr/bin/umoci"])
        assert console.until(lambda: present("program.umoci"), 20)


def test_modules_are_loaded_at_start_and_bridge_filtering_only_when_a_network_needs_it() -> None:
    with Prepared([["mount", "-t", "tmpfs", "tmpfs", "/proc/sys/net/bridge"]], loader=True) as product:
        console = Console(product)

        def calls() -> list[str]:
            return console.bottle.read("/run/modprobe.log").splitlines()

        def filtering() -> list[str]:
            names = [f"net.bridge.bridge-nf-call-{of}" for of in ("iptables", "ip6tables", "arptables")]
            return console.bottle.run(["sysctl", "-n", *names]).stdout.split()

        assert {"-q overlay", "-q nf_conntrack"} <= set(calls())
        console.network("open")
        assert "-q br_netfilter" not in calls()
        console.network("closed", options={"com.docker.network.bridge.enable_icc": "false"})
        assert calls().count("-q br_netfilter") == 1
        assert filtering() == ["1", "0", "0"], "the host's other bridges keep what they had"
        console.call("DELETE", "networks/closed")
        assert filtering() == ["0", "0", "0"]


def test_a_limit_whose_controller_is_missing_is_refused_before_anything_is_made() -> None:
    with Product() as product:
        console = Console(product)
        refused = console.raw("POST", "containers", {"name": "web", "command": ["true"], "memory": 2**26})
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["field"]) == (501, "unsupported", "memory")
        assert "controller memory" in problem["detail"]
        assert console.get("containers")["count"] == 0
