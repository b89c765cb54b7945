"""Ansible's modules of the collection community.docker, as playbooks use them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.testlib.bottle import REPOSITORY

from .conftest import Docker

pytestmark = pytest.mark.kernel
ANSIBLE = REPOSITORY / "var/ansible"
PLAYBOOKS = REPOSITORY / "tests/engine/playbooks"
ENV = {
    "HOME": "/run/ansible",
    "ANSIBLE_COLLECTIONS_PATH": str(ANSIBLE / "collections"),
    "ANSIBLE_LOCALHOST_WARNING": "false",
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    "ANSIBLE_PIPELINING": "true",
}


def play(cli: Docker, name: str) -> tuple[int, Any]:
    """How many tasks of a playbook changed something, and what it wrote down; fails the test where one failed."""
    cli.bottle.run(["mkdir", "-p", "/run/ansible"])
    interpreter = f"ansible_python_interpreter={ANSIBLE / 'bin/python'}"
    command = [ANSIBLE / "bin/ansible-playbook", "-c", "local", "-e", interpreter, PLAYBOOKS / name]
    done = cli.bottle.run(command, check=False, env=ENV, timeout=300)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{cli.product.logs()}"
    changed = re.search(r"changed=(\d+)", done.stdout)
    assert changed is not None
    return int(changed[1]), json.loads((cli.bottle.root / "run/ansible/found.json").read_text())


def test_a_playbook_makes_what_it_says_and_a_second_run_changes_nothing(cli: Docker) -> None:
    changed, found = play(cli, "shop.yml")
    assert changed == 4
    front, back = cli.get("networks/front"), cli.get("networks/back")
    assert (front["options"], front["labels"]) == ({"com.docker.network.driver.mtu": "1400"}, {"team": "blue"})
    assert (front["internal"], back["internal"]) == (False, True)
    web = cli.get("containers/web")
    ways = {item["network"]["name"]: item for item in web["endpoints"]}
    assert (ways["front"]["ipv4"], ways["front"]["aliases"]) == ("10.82.0.10/24", ["www"])
    assert cli.connects_soon("192.0.2.2", 8080) == "hello"
    for name in ("database", "base"):
        assert cli.inside("web", "busybox", "nc", name, "5432")["stdout"].strip() == "rows"
    assert found["network"]["IPAM"]["Config"] == [
        {
            "Subnet": "10.82.0.0/24",
            "IPRange": "10.82.0.128/25",
            "Gateway": "10.82.0.254",
            "AuxiliaryAddresses": {"printer": "10.82.0.5"},
        }
    ]
    assert found["container"]["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert {item["Names"][0] for item in found["host"]["containers"]} == {"/db", "/web"}
    assert {"front", "back"} < {item["Name"] for item in found["host"]["networks"]}
    operations = cli.get("operations")["count"]
    assert play(cli, "shop.yml")[0] == 0
    assert cli.get("operations")["count"] == operations


@pytest.mark.long
def test_what_is_there_is_changed_stopped_started_and_removed(cli: Docker) -> None:
    play(cli, "shop.yml")
    _, found = play(cli, "changes.yml")
    unchanged = [name for name, changed in found["changed"].items() if not changed]
    assert unchanged == ["same", "ignored", "absent"]
    assert (found["inside"], found["job"]) == ("red", "done\n")
    assert found["remade"] == ["db"]
    assert "a privileged container is not supported by CNM Web's Docker API" in found["refused"]
    assert "Pool overlaps with other one on this address space" in found["clash"]
    assert cli.get("containers")["count"] == 0
