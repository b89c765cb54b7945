"""The README's commands on a throw-away host: up, up again, restart, down, up, purge; and what may go wrong on the way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .machine import PASSWORD, Machine, built_machine, fresh_machine, until

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]
WEB = {"name": "web", "command": ["busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello"], "ports": ["8080:80"]}
ALL = {
    "redis-server": "cnm",
    "worker.holder": "root",
    "worker.dns --socket": "root",
    "worker.dns.resolver": "nobody",
    "worker kernel": "root",
    "worker slow": "root",
    "worker.monitor": "root",
    "networks.engine": "cnm",
    "uvicorn": "cnm",
}
STEPS = ("system packages", "user cnm", "product", "configuration", "folders", "processes")
REDIS = "/run/cnm/redis/redis.sock"
OUTWARD = "-A POSTROUTING -s 172.17.0.0/16 ! -o cnm0"
SAYS_GOODBYE = "trap 'echo goodbye >/out/said; exit 0' USR1; echo ready >/out/said; while :; do sleep 0.1; done"
DEAF = "trap '' TERM; while :; do sleep 0.1; done"


@pytest.fixture
def machine() -> Iterator[Machine]:
    with fresh_machine() as made:
        yield made


@pytest.fixture
def built() -> Iterator[Machine]:
    """For what comes after the product was built."""
    with built_machine() as made:
        yield made


def test_the_readmes_commands_do_what_they_say(machine: Machine) -> None:
    machine.uninstall(Path("/usr/bin/umoci"))
    before = machine.bottle.dump()
    said = machine.make("up", {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    assert "http://127.0.0.1:8000/" in said
    assert [step for step in STEPS if f"  {step} … " not in said] == [], "progress is shown"
    asked = machine.bottle.read("/run/apt.log")
    assert "install -y -q --no-install-recommends umoci and starts nothing\n" in asked
    assert not (machine.bottle.root / "usr/sbin/policy-rc.d").exists()
    assert machine.processes() == ALL
    assert machine.listens() == {"127.0.0.1:8000"}, "Redis has no port"
    stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    called = ["/usr/bin/python3", "-c", f"import socket; socket.socket(socket.AF_UNIX).connect('{REDIS}')"]
    assert "PermissionError" in machine.bottle.run([*stranger, *called], check=False).stderr
    assert machine.bottle.run(["stat", "-c", "%a %U", "/run/cnm/redis"]).stdout.split() == ["700", "cnm"]
    assert machine.bottle.run(["stat", "-c", "%a %U", "/etc/cnm/cnm.env"]).stdout.split() == ["640", "root"]
    made = machine.bottle.dump()
    assert made != before
    assert "nothing had to be changed" in machine.make("up")
    assert machine.bottle.dump() == made

    machine.api("POST", "containers", WEB)
    assert machine.hears("192.0.2.2", 8080) == "hello"
    pid = machine.api("GET", "containers/web")["pid"]
    machine.make("restart")
    assert machine.hears("192.0.2.2", 8080) == "hello"
    assert machine.api("GET", "containers/web")["pid"] == pid

    machine.make("down")
    assert machine.bottle.dump() == before
    assert machine.processes() == {}
    machine.make("up")
    assert machine.hears("192.0.2.2", 8080) == "hello"

    machine.make("purge")
    assert machine.bottle.dump() == before
    for path in ("/opt/cnmweb/current", "/etc/cnm", "/var/log/cnm", "/run/cnm", "/var/lib/cnm/db"):
        assert not os.path.lexists(machine.bottle.root / path.lstrip("/")), path
    assert machine.bottle.run(["id", "cnm"], check=False).returncode != 0


def test_changed_settings_take_effect_and_those_that_cannot_be_kept_change_nothing(built: Machine) -> None:
    code, said = built.type("up", {"CNM_STATE_DIR": "/srv/cnm"})
    assert code
    assert "CNM_STATE_DIR=/srv/cnm cannot be used" in said
    assert not (built.bottle.root / "etc/cnm").exists(), "refused before anything is changed"
    said = built.make("up", {"CNM_MTU": "1400", "CNM_SECRET_KEY": 'odd " key \\ with # and $'})
    built.api("POST", "containers", WEB)
    assert built.bottle.ip("link", "show", "cnm0")[0]["mtu"] == 1400

    built.set(CNM_BIND="0.0.0.0:8000", CNM_IP_MASQ="false", CNM_MTU="1300")
    assert "every address of this host; name the host names" in built.make("restart")
    assert OUTWARD not in built.bottle.run(["iptables", "-t", "nat", "-S"]).stdout
    assert built.bottle.ip("link", "show", "cnm0")[0]["mtu"] == 1300
    built.set(CNM_BIND="[::]:8001", CNM_IP_MASQ="")
    assert "http://[::1]:8001/" in built.make("up"), "make up sees that the file has changed"
    built.base = "http://[::1]:8001"
    assert built.state("web") == "running"
    assert OUTWARD in built.bottle.run(["iptables", "-t", "nat", "-S"]).stdout
    assert "nothing had to be changed" in built.make("up")
    assert "CNM_ICC of this run's environment: not used" in built.make("up", {"CNM_ICC": "false"})

    running = built.processes()
    for wrong, words in (
        ({"CNM_ICC": "perhaps"}, "CNM_ICC='perhaps' cannot be used"),
        ({"CNM_BIP": "192.0.2.65/26"}, "overlaps 192.0.2.0/24, which belongs to a route of the host"),
        ({"CNM_BIP": "10.9.0.1/24"}, "web have addresses there"),
        ({"CNM_BIND": "8000"}, "CNM_BIND=8000 cannot be used"),
    ):
        built.set(**wrong)
        code, said = built.type("restart")
        assert code
        assert words in said
        assert built.processes() == running
        built.set(**dict.fromkeys(wrong, "[::]:8001" if "CNM_BIND" in wrong else ""))
    assert built.hears("192.0.2.2", 8080) == "hello"


@pytest.mark.long
def test_a_start_that_fails_says_why_and_loses_nothing(built: Machine) -> None:
    built.bottle.run(["iptables", "-N", "DOCKER"])
    code, said = built.type("up", {"CNM_ADMIN_PASSWORD": "", "CNM_NAMES": "docker"})
    assert code
    assert "the worker cannot start: Chains named DOCKER stand on this host already" in said
    assert "Set CNM_NAMES to cnm" in said
    shown = re.search(r"Password \(shown once\): (\S+)", said)
    assert shown is not None, said
    built.bottle.run(["iptables", "-X", "DOCKER"])
    assert "Password" not in built.make("up")
    assert built.bottle.python("tests.packaging.test_lifecycle:signs_in", "admin", shown[1])
    assert not built.bottle.python("tests.packaging.test_lifecycle:signs_in", "admin", PASSWORD)


def signs_in(name: str, password: str) -> bool:
    """Runs inside."""
    import django

    django.setup()
    from django.contrib.auth import authenticate

    return authenticate(username=name, password=password) is not None


@pytest.mark.long
def test_down_lets_containers_end_and_up_starts_who_should_run(built: Machine) -> None:
    built.make("up")
    built.bottle.run(["mkdir", "/run/out"])
    bind = {"binds": ["/run/out:/out"], "stop_signal": "SIGUSR1", "stop_timeout": 60}
    built.api("POST", "containers", {"name": "polite", "command": ["sh", "-c", SAYS_GOODBYE], **bind})
    built.api("POST", "containers", {"name": "deaf", "command": ["sh", "-c", DEAF], "stop_timeout": 1})
    for policy in ("always", "unless-stopped"):
        built.api("POST", "containers", {"name": policy, "command": ["sleep", "999"], "restart_policy": policy})
        built.api("POST", f"containers/{policy}/stop", {"timeout": 0})
        assert built.state(policy) == "exited"
    assert until(lambda: built.bottle.read("/run/out/said").strip() == "ready", 20)
    built.make("restart")
    assert built.state("always") == "exited", "replacing our processes starts nothing"

    assert "Containers that did not end in their time and were killed: 1." in built.make("down")
    assert built.bottle.read("/run/out/said").strip() == "goodbye"
    built.make("up")
    assert until(lambda: built.state("always") == "running", 20)
    assert built.state("unless-stopped") == "exited"
    assert {built.state("polite"), built.state("deaf")} == {"running"}


@pytest.mark.long
def test_up_goes_on_where_an_interrupted_one_stopped(machine: Machine) -> None:
    for seconds in (0.7, 3, 8):
        process = machine.bottle.popen(
            ["make", "-s", "-C", os.fspath(machine.tree), "up"], env={"npm_config_offline": "true"}
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        subprocess.run(["sleep", "0.1"], check=True)
        for line in machine.bottle.run(["ps", "-eo", "pid,args"]).stdout.splitlines():
            if "install/up.py" in line or "manage.py" in line or "npm" in line:
                machine.bottle.run(["kill", "-KILL", line.split()[0]], check=False)
    machine.make("up")
    assert machine.processes() == ALL
