"""What somebody does with the parts once they run: signs in, makes things, and looks whether they are there. Runs in the host."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
BASE = "http://127.0.0.1:8000"
PATIENCE_S = 90
SERVES = ["python3", "-m", "http.server", "80", "--directory", "/etc"]


class Console:
    """Somebody who has signed in with the form, and speaks to REST with a token of theirs."""

    def __init__(self, password: str) -> None:
        with httpx.Client(base_url=BASE, timeout=60) as browser:
            form = browser.get("/sign-in/").text
            token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', form)
            assert token, form
            fields = {"username": "admin", "password": password, "csrfmiddlewaretoken": token[1]}
            assert browser.post("/sign-in/", data=fields).status_code == 302
            headers = {"X-CSRFToken": browser.cookies["csrftoken"], "Referer": f"{BASE}/"}
            made = browser.post(
                "/api/v1/tokens", json={"name": f"story {time.time()}", "role": "admin"}, headers=headers
            )
            made.raise_for_status()
        self._api = httpx.Client(
            base_url=f"{BASE}/api/v1/", timeout=60, headers={"Authorization": f"Bearer {made.json()['token']}"}
        )

    def raw(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return self._api.request(method, path, json=body, params=params)

    def __call__(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        answer = self.raw(method, path, body, **params)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def inside(self, container: str, *command: str) -> str:
        done = self("POST", f"containers/{container}/exec", {"command": list(command)})["result"]
        assert done["exit_code"] == 0, done
        return str(done["stdout"])


def until(look: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return seen


def begin(password: str) -> None:
    """Two containers on a network: one serves a file on a port below 1024 and on one above, the other asks it by name."""
    api = Console(password)
    api("POST", "networks", {"name": "shop", "subnets": [{"subnet": "10.30.0.0/24"}]})
    web = {"name": "web", "command": SERVES, "network": "shop", "ports": ["8080:80", "81:80"]}
    api("POST", "containers", {**web, "restart_policy": {"name": "always"}})
    api("POST", "containers", {"name": "asks", "command": ["sleep", "1000"], "network": "shop"})
    api("POST", "links", {"recipient": "asks", "source": "web", "alias": "shop-window"})


def look(password: str) -> None:
    """Everything that was begun is there, and every process does its part."""
    api = Console(password)
    assert api("GET", "containers/web")["state"] == "running"
    fetch = "import urllib.request as u; print(u.urlopen('http://web/hostname', timeout=5).read().decode())"
    until(lambda: _tried(api, fetch), "the other is not reached by its name")
    assert api.inside("web", "id", "-u").strip() == "0", "the slow worker executes"
    assert api.inside("web", "setpriv", "--reuid=65534", "--clear-groups", "id", "-u").strip() == "65534"
    until(lambda: _drifts(api) == [], "nothing differs from what is asked")
    api("POST", "containers/asks/restart", {"timeout": 0})
    capture = api("POST", "captures", {"container": "web", "protocol": "tcp", "seconds": 1}, wait=0)
    assert capture
    sent = api("POST", "firewall/verify", {"from": "asks", "to": "web", "port": 80})
    assert sent, "a real packet is followed"


def _tried(api: Console, script: str) -> bool:
    done = api("POST", "containers/asks/exec", {"command": ["python3", "-c", script]})["result"]
    return bool(done["exit_code"] == 0)


def _drifts(api: Console) -> list[Any]:
    api("POST", "drift/look", {})
    return list(api("GET", "drift")["results"])


def is_told_who_holds(password: str, port: int, program: str) -> None:
    """A port of the host that a program of somebody else has is refused by that program's name."""
    api = Console(password)
    refused = api.raw("POST", "containers/web/ports", {"ports": [f"{port}:80"]})
    assert refused.status_code == 409, refused.text
    assert program in refused.json()["detail"], refused.text


def sandbox(password: str, container: str = "web") -> str:
    return str(Console(password)("GET", f"containers/{container}")["sandbox"])


def sees_drift(password: str) -> None:
    """The monitor hears of what somebody did in a sandbox, well before anybody looks by the clock."""
    api = Console(password)
    until(lambda: api("GET", "drift")["results"], "a change in a sandbox is not seen")
    api("POST", "drift/repair", {})
    until(lambda: api("GET", "drift")["results"] == [], "it is not repaired")


def waits(password: str) -> None:
    """After a reboot: all is there again, by itself."""
    until(lambda: _is_back(password), "it does not come back")


def _is_back(password: str) -> bool:
    with contextlib.suppress(httpx.HTTPError, AssertionError):
        return bool(Console(password)("GET", "containers/web")["state"] == "running")
    return False


def end(password: str) -> None:
    api = Console(password)
    for name in ("asks", "web"):
        api("DELETE", f"containers/{name}", force=1)
    api("DELETE", "networks/shop")
