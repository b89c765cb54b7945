"""The README's commands on a real Ubuntu 24.04, with its own systemd and packages, over a reboot: from a clone to `make purge`."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testlib.archives import CACHE, ENV, archives_reachable, tree
from tests.testlib.bottle import REPOSITORY
from tests.testlib.systemd_host import SystemdHost

from .machine import PASSWORD, until

pytestmark = [pytest.mark.kernel, pytest.mark.long, pytest.mark.timeout(3600)]
PACKAGES = ("systemd", "systemd-sysv", "dbus", "iproute2", "procps", "make", "ca-certificates")
CLONE, CLIENT = "/srv/cnmweb", "/srv/ask.py"
# Signs in with the form, and asks REST with the session's cookie.
ASK = """
import http.cookiejar, json, re, sys, urllib.parse, urllib.request
base, (password, method, path, body) = "http://127.0.0.1:8000/", sys.argv[1:]
jar = http.cookiejar.CookieJar()
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
form = opener.open(base + "sign-in/", timeout=9).read().decode()
token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', form)[1]
fields = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
opener.open(base + "sign-in/", urllib.parse.urlencode(fields).encode(), timeout=9)
given = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
headers = {"Content-Type": "application/json", "X-CSRFToken": given, "Referer": base}
asked = urllib.request.Request(base + "api/v1/" + path, method=method, headers=headers, data=body.encode() or None)
print(opener.open(asked, timeout=90).read().decode())
"""
FETCH = "import urllib.request as u; print(u.urlopen('http://192.0.2.2:8080/os-release', timeout=5).read().decode())"
SERVES = ["python3", "-m", "http.server", "80", "--directory", "/etc"]


@pytest.fixture
def disk() -> Iterator[Path]:
    """A fresh Ubuntu with a clone of this repository."""
    made = tree("noble", "http://archive.ubuntu.com/ubuntu", ["main", "universe"], PACKAGES, script="gutsy")
    with tempfile.TemporaryDirectory(prefix="noble-", dir=CACHE) as folder:
        subprocess.run(["tar", "-C", folder, "-xf", made], check=True)
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, check=True).stdout
        clone = Path(folder) / CLONE.lstrip("/")
        clone.mkdir(parents=True)
        copy = ["tar", "-C", REPOSITORY, "--null", "--no-recursion", "-T", "-", "-cf", "-"]
        packed = subprocess.run(copy, input=names, capture_output=True, check=False).stdout
        subprocess.run(["tar", "-C", clone, "-xf", "-"], input=packed, check=True)
        (Path(folder) / CLIENT.lstrip("/")).write_text(ASK)
        yield Path(folder)


def make(host: SystemdHost, target: str) -> str:
    env = {
        **ENV,
        "CNM_ADMIN_PASSWORD": PASSWORD,
        "CNM_YES": "1",
        "HOME": "/root",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }
    return host.run(["env", "-C", "/", "make", "-s", "-C", CLONE, target], env=env, timeout=1800).stdout


def ask(host: SystemdHost, method: str, path: str, body: object = None) -> object:
    text = "" if body is None else json.dumps(body)
    said = host.run(["python3", CLIENT, PASSWORD, method, path, text], timeout=120).stdout
    return json.loads(said) if said.strip() else None


def serves(host: SystemdHost) -> bool:
    return "Ubuntu 24.04" in host.run(["python3", "-c", FETCH], netns="outside", check=False).stdout


def failed(host: SystemdHost) -> str:
    return host.run(["systemctl", "list-units", "--failed", "--no-legend", "cnm-*"]).stdout


def test_from_a_clone_to_purge_over_a_reboot(disk: Path) -> None:
    with SystemdHost(disk, whole=True) as host:
        with archives_reachable(host):
            assert "CNM Web is at" in make(host, "up")
        assert failed(host) == ""
        ask(host, "POST", "networks", {"name": "shop", "subnets": [{"subnet": "10.30.0.0/24"}]})
        web = {"name": "web", "command": SERVES, "network": "shop", "ports": ["8080:80"]}
        ask(host, "POST", "containers", web)
        assert until(lambda: serves(host), 20)
        make(host, "restart")
        assert serves(host), "the container goes on"
    with SystemdHost(disk, whole=True) as host:
        assert until(lambda: serves(host), 90), "it comes back by itself"
        assert failed(host) == ""
        make(host, "down")
        assert not serves(host)
        assert "10.30.0" not in host.run(["iptables-save"]).stdout
        make(host, "up")
        assert until(lambda: serves(host), 60)
        make(host, "purge")
        assert not host.run(["sh", "-c", "ls -d /opt/cnmweb /var/lib/cnm /etc/cnm 2>/dev/null"], check=False).stdout
