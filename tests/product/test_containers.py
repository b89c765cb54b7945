"""What a container can be asked for, through the whole product."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import pytest

from tests.testlib.bottle import REPOSITORY

from .conftest import Console

pytestmark = pytest.mark.kernel


def test_a_command_runs_inside_and_its_answer_comes_back(console: Console) -> None:
    console.run("web", env={"COLOUR": "green"})
    ran = console.inside(
        "web", "sh", "-c", "echo $COLOUR $MORE; pwd; echo bad >&2; exit 4", env={"MORE": "x"}, working_dir="/tmp"
    )
    assert (ran["exit_code"], ran["stdout"], ran["stderr"]) == (4, "green x\n/tmp\n", "bad\n")
    refused = console.raw("POST", "containers/web/exec", {"command": []})
    assert (refused.status_code, refused.json()["field"]) == (400, "command")
    console.call("POST", "containers/web/stop", {"timeout": 0})
    assert console.raw("POST", "containers/web/exec", {"command": ["true"]}).status_code == 409


def test_a_dry_run_of_a_command_runs_nothing(console: Console) -> None:
    console.run("web")
    shown = console.call("POST", "containers/web/exec", {"command": ["touch", "/tmp/made"]}, dry_run=1)
    assert shown["operation"]["verb"] == "container.exec"
    assert console.inside("web", "test", "-e", "/tmp/made")["exit_code"] == 1


def test_a_commit_keeps_what_was_written_and_leaves_the_three_files_out(console: Console) -> None:
    console.run("web", extra_hosts=["secret.example:10.9.8.7"], hostname="original")
    console.inside(
        "web",
        "sh",
        "-c",
        "echo kept >/srv/kept; echo '1.2.3.4 edited' >>/etc/hosts; echo nameserver 9.9.9.9 >>/etc/resolv.conf",
    )
    made = console.call("POST", "containers/web/commit", {"image": "made:1"})
    assert (made["status"], made["name"]) == ("ready", "made:1")
    console.run("copy", image="made:1")
    assert console.inside("copy", "cat", "/srv/kept")["stdout"] == "kept\n"
    files = console.inside("copy", "cat", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")["stdout"]
    for left_out in ("edited", "secret.example", "original", "9.9.9.9"):
        assert left_out not in files
    held = console.bottle.run(
        ["grep", "-rlE", "edited|secret.example|^original$|9.9.9.9", "/var/lib/cnm/images"], check=False
    )
    assert [path for path in held.stdout.split() if "/etc/" in path] == []
    console.remove("copy", "web")
    console.call("DELETE", "images/made:1")


def busybox_tar() -> None:
    """Runs inside."""
    from pathlib import Path

    from tests.kernel.runtime_lab import busybox_tar

    busybox_tar(Path("/run/busybox.tar.gz"))


def test_an_archive_is_imported_run_and_removed(console: Console) -> None:
    console.bottle.python(busybox_tar)
    made = console.call("POST", "images", {"name": "busy:1", "source": "/run/busybox.tar.gz"})
    assert made["status"] == "ready"
    console.run("tiny", "/bin/sh", "-c", "sleep 1000", image="busy:1")
    in_use = console.raw("DELETE", "images/busy:1")
    assert in_use.status_code == 409
    assert "tiny" in in_use.json()["detail"]
    console.remove("tiny")
    console.call("DELETE", "images/busy:1")
    assert console.raw("GET", "images/busy:1").status_code == 404
    missing = console.raw("POST", "images", {"name": "none:1", "source": "/run/none.tar"})
    assert missing.status_code >= 400
    assert "/run/none.tar" in missing.json()["detail"]
    console.call("DELETE", "images/none:1")


def make_layout() -> str:
    """Runs inside."""
    from tests.kernel.test_images import make_layout

    return make_layout()


def test_an_image_is_pulled_from_a_registry(console: Console) -> None:
    console.bottle.python(make_layout)
    server = console.bottle.popen(
        [sys.executable, "-m", "tests.testlib.registry", "/run/layout", "5000"], env={"PYTHONPATH": str(REPOSITORY)}
    )
    assert console.until(lambda: ":5000 " in console.bottle.run(["ss", "-Hltn"]).stdout)
    made = console.call("POST", "images", {"name": "web", "source": "docker://127.0.0.1:5000/library/web:latest"})
    assert (made["name"], made["status"]) == ("web:latest", "ready")
    assert "COLOUR=green" in made["config"]["Env"]
    console.call("POST", "containers", {"name": "pulled", "image": "web"})
    assert console.until(lambda: "from the image green" in console.raw("GET", "containers/pulled/logs").text)
    unknown = console.raw("POST", "images", {"name": "gone", "source": "docker://127.0.0.1:5000/library/web:nosuch"})
    assert unknown.status_code >= 400
    assert unknown.json()["remedy"]
    server.kill()
    console.remove("pulled")
    for image in ("web", "gone"):
        console.call("DELETE", f"images/{image}")


def test_limits_are_kept_or_refused_with_the_reason(console: Console) -> None:
    answer = console.raw(
        "POST", "containers", {"name": "small", "command": ["sleep", "1000"], "pids_limit": 7, "memory": 1 << 25}
    )
    if answer.status_code == 201:
        ran = console.inside("small", "sh", "-c", "for n in 1 2 3 4 5 6 7 8 9; do sleep 5 & done")
        assert "fork" in ran["stderr"], "the eighth process is refused"
        return
    assert answer.status_code == 501
    problem = answer.json()
    assert "memory" in problem["detail"] or "pids" in problem["detail"], problem
    assert problem["remedy"]


def test_a_namespace_is_adopted_by_path_and_given_back(console: Console) -> None:
    console.bottle.run(["ip", "netns", "add", "blue"])
    console.serve("web", 80)
    console.call("POST", "containers", {"name": "blue", "kind": "adopted", "adopt": {"path": "/run/netns/blue"}})
    assert console.connects_soon(console.address("web"), 80, netns="blue") == "hello"
    console.remove("blue")
    left = {link["ifname"] for link in console.bottle.ip("link", netns="blue")}
    assert left == {"lo"}, "what was adopted is let go of, not deleted"
    console.bottle.run(["ip", "netns", "del", "blue"])


def test_a_process_s_namespace_is_adopted(console: Console) -> None:
    holder = console.bottle.popen(["unshare", "--net", "sleep", "1000"])
    pid = console.until(lambda: console.bottle.run(["pgrep", "-x", "sleep", "-n"], check=False).stdout.strip())
    console.serve("web", 80)
    console.call("POST", "containers", {"name": "guest", "kind": "adopted", "adopt": {"pid": int(pid)}})
    assert console.connects_soon(console.address("web"), 80, netns=console.sandbox("guest")) == "hello"
    console.remove("guest")
    console.bottle.run(["kill", pid])
    holder.wait(10)
    gone = console.raw("POST", "containers", {"name": "late", "kind": "adopted", "adopt": {"pid": int(pid)}})
    assert gone.status_code >= 400
    assert gone.json()["remedy"]


def test_wait_answers_when_it_ends_with_its_code(console: Console) -> None:
    console.run("short", "sh", "-c", "sleep 0.5; exit 6")
    assert console.raw("GET", "containers/short/wait", timeout=0).status_code in (200, 202)
    ended = console.get("containers/short/wait", timeout=30)
    assert (ended["state"], ended["exit_code"]) == ("exited", 6)


def test_a_signal_reaches_the_process(console: Console) -> None:
    console.run(
        "polite", "sh", "-c", "trap 'echo got usr1' USR1; trap 'exit 9' INT; echo up; while :; do sleep 0.1; done"
    )
    assert console.until(lambda: "up" in console.raw("GET", "containers/polite/logs").text)  # it heeds no signal before
    console.call("POST", "containers/polite/kill", {"signal": "USR1"})
    assert console.until(lambda: "got usr1" in console.raw("GET", "containers/polite/logs").text)
    assert console.state("polite") == "running"
    console.call("POST", "containers/polite/kill", {"signal": "INT"})
    assert console.get("containers/polite/wait", timeout=30)["exit_code"] == 9
    assert console.raw("POST", "containers/polite/kill", {"signal": "TERM"}).status_code == 409


def test_a_log_is_followed_as_it_is_written(console: Console) -> None:
    console.run("talker", "sh", "-c", "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.2; done")
    lines: list[str] = []
    with console.product.api.stream("GET", "/api/v1/containers/talker/logs", params={"follow": 1, "tail": 2}) as answer:
        assert answer.headers["content-type"].startswith("text/plain")
        for line in answer.iter_lines():
            lines.append(line)
            if len(lines) == 8:
                break
    numbers = [int(line.removeprefix("line ")) for line in lines if line]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "each line once, in order"


def test_two_containers_share_one_sandbox(console: Console) -> None:
    console.serve("web", 80)
    console.run("beside", network="container:web")
    assert console.sandbox("beside") == console.sandbox("web")
    assert console.until(lambda: console.inside("beside", "busybox", "nc", "127.0.0.1", "80")["stdout"]) == "hello\n"
    assert console.inside("beside", "hostname")["stdout"] == console.inside("web", "hostname")["stdout"]
    assert console.raw("DELETE", "containers/web", force=1).status_code == 409
    console.remove("beside")


def test_host_mode_has_the_hosts_own_network(console: Console) -> None:
    made = console.run("bare", network="host")
    assert (made["sandbox"], made["endpoints"]) == ("", [])
    assert "192.0.2.2" in console.inside("bare", "ip", "-4", "addr", "show", "eth0")["stdout"]


def test_the_network_of_the_highest_priority_leads_outside(console: Console) -> None:
    for name in ("alpha", "beta"):
        console.network(name)
    console.run("web", networks=[{"network": "alpha"}, {"network": "beta", "gw_priority": 5}])
    gateway = console.get("networks/beta")["subnets"][0]["gateway"]
    assert f"default via {gateway} " in console.inside("web", "ip", "route")["stdout"]
    console.call("POST", "networks/beta/disconnect", {"container": "web"})
    gateway = console.get("networks/alpha")["subnets"][0]["gateway"]
    assert f"default via {gateway} " in console.inside("web", "ip", "route")["stdout"]


def test_interfaces_are_called_as_asked(console: Console) -> None:
    console.network("wan", options={"com.docker.network.container_iface_prefix": "wan"})
    console.run(
        "web",
        networks=[
            {"network": "wan"},
            {"network": "bridge", "driver_opts": {"com.docker.network.endpoint.ifname": "mgmt"}},
        ],
    )
    shown = {link["ifname"] for link in console.bottle.ip("link", netns=console.sandbox("web"))}
    assert shown == {"lo", "wan0", "mgmt"}


def test_without_a_network_there_is_lo_alone_and_a_chosen_address_and_mac_are_real(console: Console) -> None:
    console.run("solo", network="none")
    (lo,) = console.bottle.ip("addr", netns=console.sandbox("solo"))
    assert (lo["ifname"], "UP" in lo["flags"]) == ("lo", True)
    assert console.bottle.ip("route", netns=console.sandbox("solo")) == []
    console.network("lan", enable_ipv6=True, subnets=[{"subnet": "10.61.0.0/24"}, {"subnet": "fd00:61::/64"}])
    chosen = {"ipv4": "10.61.0.77", "ipv6": "fd00:61::77", "mac": "02:11:22:33:44:55"}
    console.run("fixed", network="lan", **chosen)
    for _ in range(2):
        (eth0,) = console.bottle.ip("addr", "show", "eth0", netns=console.sandbox("fixed"))
        found = {item["local"] for item in eth0["addr_info"] if item["scope"] == "global"}
        assert (eth0["address"], found) == ("02:11:22:33:44:55", {"10.61.0.77", "fd00:61::77"})
        console.call("POST", "containers/fixed/restart", {"timeout": 0})


def test_an_interfaces_settings_are_real_and_outlive_a_restart(console: Console) -> None:
    option = {
        "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.rp_filter=2"
    }
    made = console.run("web", driver_opts=option)
    assert made["endpoints"][0]["sysctls"] == {
        "net.ipv4.conf.IFNAME.log_martians": "1",
        "net.ipv4.conf.IFNAME.rp_filter": "2",
    }
    folder = "/proc/sys/net/ipv4/conf/eth0"
    for _ in range(2):
        assert console.inside("web", "cat", f"{folder}/log_martians", f"{folder}/rp_filter")["stdout"] == "1\n2\n"
        console.call("POST", "containers/web/restart", {"timeout": 0})
    bad = {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.no_such_thing=1"}
    refused = console.raw("POST", "containers", {"name": "b", "command": ["sleep", "9"], "driver_opts": bad})
    assert (refused.status_code, refused.json()["field"]) == (501, "driver_opts.com.docker.network.endpoint.sysctls")
    assert "no_such_thing" in refused.json()["detail"]


def test_host_gateway_leads_to_the_host(console: Console) -> None:
    console.run("web", extra_hosts=["box:host-gateway"])
    gateway = console.get("networks/bridge")["subnets"][0]["gateway"]
    assert f"{gateway}\tbox\n" in console.inside("web", "cat", "/etc/hosts")["stdout"]


def generation() -> int | None:
    """Runs inside: how many transactions of rules the kernel has seen."""
    from worker.firewall.generation import Generation

    return Generation().read()


def test_bulk_is_all_or_nothing_one_operation_and_one_firewall_commit(console: Console) -> None:
    before = console.bottle.dump()
    operations = console.get("operations")["count"]
    boxes = [
        {"name": f"b{n}", "command": ["sleep", "1000"], "network": "many", "ports": [f"{8100 + n}:80"]}
        for n in range(6)
    ]
    bad = [*boxes, {"name": "bad", "command": ["sleep", "9"], "network": "nosuch"}]
    refused = console.raw("POST", "bulk", {"networks": [{"name": "many"}], "containers": bad})
    assert refused.status_code == 404
    assert refused.json()["field"].startswith("containers.6")
    assert console.bottle.dump() == before
    assert console.raw("GET", "networks/many").status_code == 404
    assert console.get("operations")["count"] == operations

    console.network("many")
    counts = []
    for some in (boxes[:1], boxes[1:]):
        start = console.bottle.python(generation)
        console.call("POST", "bulk", {"containers": some})
        counts.append(console.bottle.python(generation) - start)
    assert counts[0] == counts[1] > 0, "five containers with ports cost as many commits as one"
    assert console.get("operations")["count"] == operations + 3
    assert {console.state(f"b{n}") for n in range(6)} == {"running"}


def test_what_failed_is_done_again(console: Console) -> None:
    bind = "/run/late:/data"
    answer = console.raw("POST", "containers", {"name": "late", "command": ["sleep", "1000"], "binds": [bind]})
    assert answer.status_code == 400
    assert "/run/late" in answer.json()["detail"]
    failed = answer.json()["operation"]
    console.bottle.run(["mkdir", "-p", "/run/late"])
    shown = console.call("POST", f"operations/{failed}/retry", dry_run=1)
    assert shown["operation"]["verb"] == "container.run"
    assert console.state("late") == "failed"
    assert console.call("POST", f"operations/{failed}/retry")["state"] == "done"
    assert console.state("late") == "running"
    assert console.raw("POST", f"operations/{failed}0/retry").status_code == 404


def test_an_operator_s_planted_link_leads_nowhere(console: Console) -> None:
    """An admin's container may mount anything, an operator's nothing here: no folder is on the list."""
    console.bottle.run(["mkdir", "-p", "/run/open"])
    console.bottle.run(["ln", "-sfn", "/etc", "/run/open/link"])
    refused = console.raw(
        "POST", "containers", {"name": "sly", "command": ["sleep", "9"], "binds": ["/run/open/link:/mnt"]}
    )
    assert refused.status_code == 403
    assert "/etc" in refused.json()["remedy"]
    console.run("fair", binds=["/run/open:/mnt:ro"])
    assert console.inside("fair", "readlink", "/mnt/link")["stdout"] == "/etc\n"


def test_many_requests_at_once_wait_their_turn(console: Console) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(console.raw("POST", "networks", {"name": f"turn{n}"})))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [201] * 6, [json.dumps(a.json()) for a in answers]
    subnets = {answer.json()["subnets"][0]["subnet"] for answer in answers}
    assert len(subnets) == 6
