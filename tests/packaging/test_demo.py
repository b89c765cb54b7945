"""``make demo`` from a fresh clone, on a machine that has nothing of ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testlib.bottle import REPOSITORY, Bottle

from .machine import Machine, prepare, until

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]
# Signs in as the form does, and asks REST with the session's cookie.
LIST = """
import json, re, sys, urllib.parse, urllib.request
base, password = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
form = opener.open(base + "sign-in/", timeout=9).read().decode()
token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', form)[1]
fields = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
opener.open(base + "sign-in/", urllib.parse.urlencode(fields).encode(), timeout=9)
found = json.load(opener.open(base + "api/v1/containers", timeout=9))["results"]
print(json.dumps({c["name"]: sorted(e["network"]["name"] for e in c["endpoints"]) for c in found}))
"""
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"
PORT = 8123


@pytest.fixture
def clone() -> Iterator[Path]:
    """What `git clone` would give: no virtual environment, nothing built."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    with tempfile.TemporaryDirectory(prefix="cnm-clone-") as folder:
        for name in filter(None, listed.split("\0")):
            if (REPOSITORY / name).is_file():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / name, Path(folder) / name)
        yield Path(folder)


def fetch(machine: Machine, port: int) -> str:
    """What a browser on the machine itself gets."""
    done = machine.bottle.run(["python3", "-c", FETCH, f"http://127.0.0.1:{port}/"], check=False)
    return done.stdout


def test_the_demo_works_from_a_fresh_clone_and_leaves_the_machine_as_it_was(clone: Path) -> None:
    with Bottle(uplink=True) as bottle:
        bottle.python(prepare, "cache")
        machine = Machine(bottle)
        before = bottle.dump()
        env = {"npm_config_offline": "true", "CNM_DEMO_PORT": str(PORT)}
        log = clone.with_suffix(".log")
        with log.open("w") as out:
            demo = bottle.popen(["make", "-s", "-C", clone, "demo"], env=env, stdout=out, stderr=subprocess.STDOUT)
        assert until(lambda: "The demo is at" in log.read_text() or demo.poll() is not None, 600)
        said = log.read_text()
        log.unlink()
        assert f"http://127.0.0.1:{PORT}/" in said, said
        assert "<title>" in fetch(machine, PORT)
        assert "Directory listing" in until(lambda: fetch(machine, 8080), 20), "the sample's published port"
        shown = re.search(r"Password \(shown once\): (\S+)", said)
        assert shown is not None
        listed = bottle.run(["python3", "-c", LIST, f"http://127.0.0.1:{PORT}/", shown[1]]).stdout
        assert json.loads(listed) == {"web": ["backend", "frontend"], "db": ["backend"], "cache": ["backend"]}
        assert bottle.dump() == before, "the machine's own network is not touched"

        (installer,) = bottle.run(["pgrep", "-f", "install/demo.py"]).stdout.split()[:1]
        bottle.run(["kill", "-INT", installer])
        assert until(lambda: demo.poll() is not None, 30)
        assert bottle.dump() == before
        assert not bottle.run(["pgrep", "-f", "uvicorn|worker kernel"], check=False).stdout
        assert not (bottle.root / "opt/cnmweb").exists()
