"""``docker run``, ``exec``, ``logs``, ``events``, … with the real command."""

from __future__ import annotations

import json
import time

import pytest

from tests.engine.conftest import Docker
from tests.testlib.product import DOCKER_SOCKET

pytestmark = pytest.mark.kernel
SERVER = ("host", "busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello")


def test_a_container_runs_detached_and_is_shown_as_docker_shows_it(cli: Docker) -> None:
    cli.said("network", "create", "--subnet", "10.64.0.0/24", "--ipv6", "--subnet", "fd00:64::/64", "lan")
    flags = ["--name", "web", "-p", "8080:80", "--expose", "81/udp", "-e", "COLOUR=green", "--label", "team=blue"]
    flags += ["--network", "lan", "--ip", "10.64.0.9", "--ip6", "fd00:64::9", "--mac-address", "02:11:22:33:44:55"]
    flags += ["--network-alias", "www", "--hostname", "box", "--domainname", "d.example", "--dns", "10.0.0.53"]
    flags += ["--dns-search", "a.example", "--dns-option", "ndots:2", "--add-host", "up:192.0.2.1", "-w", "/tmp"]
    flags += ["-u", "0:0", "--restart", "on-failure:3", "--stop-timeout", "0"]
    made = cli.said("run", "-d", *flags, *SERVER)
    assert cli.connects_soon("192.0.2.2", 8080) == "hello"
    shown = cli.inspected("container", "web")
    assert (shown["Id"], shown["Name"], shown["State"]["Status"]) == (made, "/web", "running")
    assert shown["State"]["Pid"] > 0
    way = shown["NetworkSettings"]["Networks"]["lan"]
    assert (way["IPAddress"], way["GlobalIPv6Address"], way["Aliases"]) == ("10.64.0.9", "fd00:64::9", ["www"])
    assert way["MacAddress"] == "02:11:22:33:44:55"
    assert way["IPAMConfig"] == {"IPv4Address": "10.64.0.9", "IPv6Address": "fd00:64::9"}
    both = [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]
    assert shown["NetworkSettings"]["Ports"] == {"80/tcp": both, "81/udp": None}
    config, host = shown["Config"], shown["HostConfig"]
    assert (config["Hostname"], config["Domainname"], config["WorkingDir"]) == ("box", "d.example", "/tmp")
    assert "COLOUR=green" in config["Env"]
    assert (config["Cmd"], config["Labels"]) == (list(SERVER[1:]), {"team": "blue"})
    assert (host["Dns"], host["DnsSearch"], host["DnsOptions"]) == (["10.0.0.53"], ["a.example"], ["ndots:2"])
    assert (host["ExtraHosts"], host["NetworkMode"]) == (["up:192.0.2.1"], "lan")
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    ports = cli.said("port", "web").replace(":::", "[::]:").splitlines()  # Debian 12's client leaves the brackets out
    assert ports == ["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"]
    assert cli.said("ps", "--format", "{{.Names}} {{.Image}} {{.Networks}}") == "web host lan"
    assert "nc -ll -p 80" in cli.said("top", "web")
    assert cli.get("containers/web")["created_by"] == "root"


def test_a_container_is_on_several_networks_from_its_start(cli: Docker) -> None:
    for name in ("alpha", "beta"):
        cli.said("network", "create", name)
    ways = {"alpha": {}, "beta": {"Aliases": ["bb"]}}
    body = {"Image": "host", "Cmd": ["sleep", "99"], "NetworkingConfig": {"EndpointsConfig": ways}}
    # As clients since API 1.44 ask for it; Debian 12's is older.
    cli.speak("POST", "/v1.44/containers/create", {**body, "HostConfig": {"NetworkMode": "alpha"}}, name="web")
    cli.said("start", "web")
    ends = {item["network"]["name"]: item for item in cli.get("containers/web")["endpoints"]}
    assert set(ends) == {"alpha", "beta"}
    assert ends["beta"]["aliases"] == ["bb"]
    assert all(item["ipv4"] for item in ends.values())


def test_an_attached_run_gives_its_output_and_its_exit_code(cli: Docker) -> None:
    ran = cli.docker("run", "--rm", "host", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert (ran.stdout, ran.stderr) == ("out\n", "err\n")
    assert cli.said("ps", "-aq") == ""
    typed = cli.docker("run", "--rm", "-i", "host", "sh", "-c", "cat; echo end", input="one\ntwo\n")
    assert typed.stdout == "one\ntwo\nend\n"
    assert cli.docker("run", "--rm", "-t", "host", "sh", "-c", "test -t 1 && echo terminal").stdout == "terminal\n"
    missing = cli.docker("run", "--rm", "host", "nosuch", code=127)
    assert 'exec: "nosuch": executable file not found in $PATH' in missing.stderr
    assert cli.said("ps", "-aq") == "", "Docker takes away what could not start and was to be removed"
    lines = 3000
    much = cli.docker("run", "--rm", "host", "seq", str(lines)).stdout.split()
    assert much == [str(number) for number in range(1, lines + 1)], "nothing is lost"
    cli.until(lambda: cli.said("ps", "-aq") == "")


FLOOD = """
import hashlib, subprocess, sys, time

def main(words, size, slow):
    command = ["docker", "-H", "unix:///run/cnm/docker.sock", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        digest, count = hashlib.sha256(), 0
        while data := client.stdout.read1(1 << 16):
            if slow and count < 1 << 20 <= count + len(data):
                time.sleep(slow)  # more is printed meanwhile than anybody keeps
            digest.update(data)
            count += len(data)
        return [count, digest.hexdigest(), client.stderr.read().decode(), client.wait()]
"""
MIB = 50


def test_a_flood_reaches_who_is_attached_whole(cli: Docker) -> None:
    cli.bottle.run(["sh", "-c", f"head -c {MIB << 20} /dev/urandom >/run/flood"])
    cli.said("create", "--name", "web", "host", "sh", "-c", "cat /tmp/flood; echo over >&2; exit 3")
    cli.said("cp", "/run/flood", "web:/tmp/flood")
    sent = cli.bottle.run(["sha256sum", "/run/flood"]).stdout.split()[0]
    for slow in (0, 3):
        found = cli.bottle.python(FLOOD, ["start", "-a", "web"], MIB << 20, slow, timeout=120)
        assert found == [MIB << 20, sent, "over\n", 3], "nothing is lost, however fast or slowly it is read"


def test_a_client_that_stands_still_does_not_keep_a_container_from_ending(cli: Docker) -> None:
    cli.said("create", "--name", "web", "host", "sh", "-c", "trap 'exit 4' TERM; seq 1 300000; echo; sleep 1000")
    command = ["docker", "-H", f"unix://{DOCKER_SOCKET}", "start", "-a", "web"]
    client = cli.bottle.popen(command)
    assert cli.until(lambda: cli.state("web") == "running")
    assert cli.until(lambda: cli.said("logs", "--tail", "1", "web")), "it has begun to speak"
    cli.said("kill", "web")
    assert cli.inspected("container", "web")["State"]["ExitCode"] == 137
    out, _ = client.communicate(timeout=30)
    assert out.startswith("1\n2\n3\n")
    assert client.returncode == 137


def test_commands_run_inside(cli: Docker) -> None:
    cli.said("run", "-d", "--name", "web", "host", "sleep", "1000")
    done = cli.docker(
        "exec", "-e", "A=5", "-w", "/tmp", "web", "sh", "-c", "echo $A $PWD; echo oops >&2; exit 3", code=3
    )
    assert (done.stdout, done.stderr) == ("5 /tmp\n", "oops\n")
    assert cli.docker("exec", "-i", "web", "cat", input="typed\n").stdout == "typed\n"
    assert cli.docker("exec", "-t", "web", "sh", "-c", "test -t 0 && echo yes").stdout == "yes\n"
    cli.said("exec", "-d", "web", "touch", "/tmp/made")
    assert cli.until(lambda: cli.docker("exec", "web", "ls", "/tmp/made", code=None).returncode == 0)
    assert "executable file not found" in cli.docker("exec", "web", "nosuch", code=127).stdout
    cli.said("stop", "-t", "0", "web")
    assert "is not running" in cli.refused("exec", "web", "true")


def test_what_changes_a_containers_state(cli: Docker) -> None:
    made = cli.said(
        "create", "--name", "web", "host", "sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done"
    )
    assert cli.inspected("container", "web")["State"]["Status"] == "created"
    cli.said("start", "web")
    assert cli.until(lambda: "up" in cli.said("logs", "web"))
    assert f"You cannot remove a running container {made}" in cli.refused("rm", "web")
    cli.said("stop", "web")
    state = cli.inspected("container", "web")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 5)
    assert cli.said("wait", "web") == "5"
    assert f"Container {made} is not running" in cli.refused("kill", "web")
    cli.said("restart", "-t", "0", "web")
    cli.said("kill", "web")
    assert cli.inspected("container", "web")["State"]["ExitCode"] == 137
    cli.said("rename", "web", "www")
    taken = cli.docker("create", "--name", "www", "host", "true", code=1).stderr
    assert f'The container name "/www" is already in use by container "{made}"' in taken
    assert cli.said("ps", "-a", "--filter", "exited=137", "--format", "{{.Names}}") == "www"
    assert cli.said("rm", "www") == "www"
    assert "No such container: www" in cli.refused("inspect", "--type", "container", "www")


def test_an_init_reaps_orphans_and_passes_signals_on(cli: Docker) -> None:
    orphan = "(sleep 0.1 & ) ; exec sleep 1000"  # sleep as pid 1 reaps nobody, and hears no SIGTERM
    cli.said("run", "-d", "--init", "--name", "web", "host", "sh", "-c", orphan)
    assert cli.inspected("container", "web")["HostConfig"]["Init"] is True
    assert "docker-init -- sh -c" in cli.said("top", "web")
    assert cli.until(lambda: "defunct" not in (said := cli.said("top", "web")) and " sleep 0.1\n" not in f"{said}\n")
    cli.said("stop", "-t", "30", "web")
    assert cli.inspected("container", "web")["State"]["ExitCode"] == 143, (
        "sleep ended by the signal that init passed on"
    )


def test_a_container_is_paused_and_goes_on(cli: Docker) -> None:
    made = cli.said(
        "run", "-d", "--name", "web", "host", "sh", "-c", "trap 'exit 4' TERM; while :; do date; sleep 0.1; done"
    )
    assert cli.until(lambda: cli.said("logs", "web")), "it traps the signal by now"
    before = str(time.time())
    assert cli.said("pause", "web") == "web"
    state = cli.inspected("container", "web")["State"]
    assert (state["Status"], state["Running"], state["Paused"]) == ("paused", True, True)
    assert cli.said("ps", "--filter", "status=paused", "--format", "{{.Names}} {{.Status}}").endswith(" (Paused)")
    assert f"Container {made} is already paused" in cli.refused("pause", "web")
    assert "Container web is paused, unpause the container before exec" in cli.refused("exec", "web", "true")
    assert cli.get("containers/web")["state"] == "paused"
    assert f"You cannot remove a paused container {made}" in cli.refused("rm", "web")
    cli.said("unpause", "web")
    assert f"Container {made} is not paused" in cli.refused("unpause", "web")
    assert cli.said("exec", "web", "echo", "goes on") == "goes on"
    cli.said("pause", "web")
    cli.said("stop", "-t", "30", "web")
    assert cli.inspected("container", "web")["State"]["ExitCode"] == 4, "it heard the signal"
    assert f"Container {made} is not running" in cli.refused("pause", "web")
    said = cli.said("events", "--since", before, "--until", str(time.time()), "--format", "{{.Action}}").splitlines()
    assert [word for word in said if "pause" in word] == ["pause", "unpause", "pause"]


def test_a_container_has_folders_in_memory(cli: Docker) -> None:
    flags = ["--tmpfs", "/fast:size=1m,mode=1777", "--mount", "type=tmpfs,destination=/opt/more,tmpfs-size=2m"]
    cli.said("run", "-d", "--name", "web", *flags, "host", "sleep", "1000")
    mounted = cli.said(
        "exec", "web", "sh", "-c", "grep -E ' /(fast|opt/more) ' /proc/mounts; touch /fast/x && ls /fast"
    )
    assert "tmpfs /fast tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k" in mounted
    assert "tmpfs /opt/more tmpfs rw,nosuid,nodev,noexec,relatime,size=2048k" in mounted
    assert mounted.endswith("\nx")
    assert cli.inspected("container", "web")["HostConfig"]["Tmpfs"]["/fast"] == "size=1m,mode=1777"
    cli.said("restart", "-t", "0", "web")
    assert cli.said("exec", "web", "ls", "/fast") == "", "they end with the process"
    assert "knows no option size=much" in cli.refused("create", "--tmpfs", "/x:size=much", "host", "true")


def test_what_containers_wrote_is_measured(cli: Docker) -> None:
    cli.said(
        "run", "-d", "--name", "web", "host", "sh", "-c", "head -c 3000000 /dev/zero >/big; ln /big /again; sleep 1000"
    )
    assert cli.until(lambda: cli.docker("exec", "web", "test", "-e", "/again", code=None).returncode == 0)
    assert cli.said("ps", "--size", "--format", "{{.Size}}").startswith("3MB (virtual ")
    assert json.loads(cli.said("inspect", "--size", "web"))[0]["SizeRw"] == 3_000_000, "a file with two names is one"
    cli.said("create", "--name", "idle", "host", "true")
    used = cli.said("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}}").splitlines()
    assert used[1] == "Containers 2 1 3MB"
    assert [line.split()[0] for line in used] == ["Images", "Containers", "Local", "Build"]
    assert "web" in cli.said("system", "df", "-v")


def test_a_container_is_stopped_by_another_signal(cli: Docker) -> None:
    traps = "trap 'exit 3' TERM; trap 'exit 4' INT; echo up; while :; do sleep 0.1; done"
    cli.said("run", "-d", "--name", "web", "host", "sh", "-c", traps)
    assert cli.until(lambda: "up" in cli.said("logs", "web"))
    cli.speak("POST", "/v1.42/containers/web/stop", signal="SIGINT")  # Debian 12's client has no option for it
    assert cli.inspected("container", "web")["State"]["ExitCode"] == 4
    cli.said("start", "web")
    assert cli.until(lambda: cli.said("logs", "web").count("up") == 2)
    cli.speak("POST", "/v1.42/containers/web/restart", signal="INT")
    assert cli.until(lambda: cli.said("logs", "web").count("up") == 3)
    assert "Invalid signal: NOSUCH" in cli.refused("kill", "-s", "NOSUCH", "web")


def test_an_image_says_by_what_signal_its_containers_are_stopped(cli: Docker) -> None:
    cli.said("run", "--name", "plain", "host", "true")
    cli.said("commit", "-c", "STOPSIGNAL SIGUSR1", "plain", "quits:1")
    traps = "trap 'exit 3' TERM; trap 'exit 4' USR1; echo up; while :; do sleep 0.1; done"
    for name, flags, code in (("web", [], 4), ("own", ["--stop-signal", "TERM"], 3)):
        cli.said("run", "-d", "--name", name, *flags, "quits:1", "sh", "-c", traps)
        assert cli.until(lambda name=name: "up" in cli.said("logs", name))
        cli.said("stop", name)
        assert cli.inspected("container", name)["State"]["ExitCode"] == code
    assert cli.inspected("container", "web")["Config"]["StopSignal"] == "SIGUSR1"
    cli.said("rm", "web", "own", "plain")
    cli.said("rmi", "quits:1")


def test_what_was_killed_by_hand_is_not_restarted(cli: Docker) -> None:
    cli.said("run", "-d", "--name", "web", "--restart", "always", "host", "sleep", "1000")
    run = cli.get("containers/web")["started_at"]
    cli.bottle.run(["kill", "-KILL", str(cli.get("containers/web")["pid"])])
    assert cli.until(lambda: (row := cli.get("containers/web"))["state"] == "running" and row["started_at"] != run)
    assert cli.said("inspect", "-f", "{{.RestartCount}}", "web") == "1", "a crash is what the policy is for"
    cli.said("kill", "web")
    assert cli.said("wait", "web") == "137"
    assert cli.said("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "web") == "exited 1"


def test_logs_are_read_and_followed(cli: Docker) -> None:
    cli.said(
        "run", "-d", "--name", "talk", "host", "sh", "-c", "for n in 1 2 3; do echo $n; done; sleep 0.5; echo late >&2"
    )
    followed = cli.docker("logs", "-f", "talk")
    assert (followed.stdout, followed.stderr) == ("1\n2\n3\n", "late\n")
    assert cli.docker("logs", "--tail", "2", "talk").stdout == "3\n"
    stamp, _, text = cli.docker("logs", "-t", "--tail", "4", "talk").stdout.splitlines()[0].partition(" ")
    assert text == "1"
    assert stamp.endswith("Z")
    assert cli.docker("logs", "--since", "10m", "talk").stdout == "1\n2\n3\n"
    assert cli.docker("logs", "--since", str(time.time() + 60), "talk").stdout == ""


def test_events_are_told_in_dockers_order(cli: Docker) -> None:
    before = str(time.time())
    cli.said("network", "create", "lan")
    cli.said("run", "--rm", "--name", "web", "--network", "lan", "host", "true")
    cli.said("network", "rm", "lan")
    words = ["events", "--since", before, "--until", str(time.time()), "--format", "{{json .}}"]
    events = [json.loads(line) for line in cli.said(*words).splitlines()]
    told = [f"{event['Type']} {event['Action']}" for event in events]
    assert told == [
        "network create",
        "container create",
        "container attach",
        "network connect",
        "container start",
        "network disconnect",
        "container die",
        "container destroy",
        "network destroy",
    ]
    assert events[1]["Actor"]["Attributes"] == {"image": "host", "name": "web"}
    assert events[6]["Actor"]["Attributes"]["exitCode"] == "0"
    chosen = cli.said(
        *words[:5], "--filter", "type=container", "--filter", "event=die", "--format", "{{.Actor.Attributes.name}}"
    )
    assert chosen == "web"


def test_what_is_not_supported_is_said(cli: Docker) -> None:
    for flags, word in (
        (["--privileged"], "a privileged container"),
        (["-v", "/data"], "an anonymous volume"),
        (["--cap-add", "SYS_ADMIN"], "a further capability"),
        (["--mount", "type=volume,target=/x"], "an anonymous volume"),
    ):
        assert f"{word} is not supported" in cli.docker("create", *flags, "host", "true", code=1).stderr
    assert "No such image: nosuch:1" in cli.docker("create", "--pull", "never", "nosuch:1", code=1).stderr
    cli.run("web")
    for flags, words in (
        (["-p", "1:1"], "conflicting options: port publishing and the container type network mode"),
        (["--hostname", "h"], "hostname and the network mode"),
        # What Debian 12's client says by itself.
        (
            ["--link", "web:w"],
            "container type network can't be used with links|links are only supported for user-defined",
        ),
    ):
        said = cli.docker("create", "--network", "container:web", *flags, "host", "true", code=None)
        assert said.returncode
        assert any(word in said.stderr for word in words.split("|")), said.stderr


ARCHIVE = """
import io, os, shutil, tarfile
with tarfile.open("/run/base.tar", "w") as archive:
    for folder in ("bin", "etc", "proc", "sys", "dev", "tmp"):
        entry = tarfile.TarInfo(folder)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
    archive.add(shutil.which("busybox"), "bin/busybox")
    for name in ("sh", "echo", "cat", "env"):
        entry = tarfile.TarInfo(f"bin/{name}")
        entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
        archive.addfile(entry)

def main():
    return True
"""


def test_images_are_imported_named_committed_and_removed(cli: Docker) -> None:
    cli.bottle.python(ARCHIVE)
    changes = ["-c", 'CMD ["/bin/echo", "from the image"]', "-c", "ENV COLOUR=red", "-c", "EXPOSE 80"]
    made = cli.said("import", *changes, "/run/base.tar", "base:1")
    shown = cli.inspected("image", "base:1")
    assert (shown["Id"], shown["RepoTags"]) == (made, ["base:1"])
    assert shown["Config"]["ExposedPorts"] == {"80/tcp": {}}
    assert cli.docker("run", "--name", "one", "base:1").stdout == "from the image\n"
    cli.said("tag", "base:1", "team/other:2")
    assert sorted(cli.inspected("image", "team/other:2")["RepoTags"]) == ["base:1", "team/other:2"]
    assert cli.said("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=team/*") == "team/other:2"
    assert "container " + made[:0] in cli.refused("rmi", "base:1")
    assert cli.said("commit", "-c", 'CMD ["/bin/echo", "again"]', "one", "kept").startswith("sha256:")
    assert cli.docker("run", "--rm", "kept").stdout == "again\n"
    cli.said("rm", "one")
    assert cli.said("rmi", "base:1", "team/other:2", "kept").splitlines()[0] == "Untagged: base:1"
    assert "No such image: base:1" in cli.refused("image", "inspect", "base:1")
