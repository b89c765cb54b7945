"""The OCI configuration of a container, as Docker would write it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.desired import ProcessSpec
from networks.cnm.errors import InvalidSpec
from networks.cnm.resources import Process
from worker.runtime import bundle
from worker.runtime.bundle import HostLimits, ImageConfig, User
from worker.runtime.init import find_init, is_static

NGINX = ImageConfig(
    env=("PATH=/opt/bin:/bin", "VERSION=1.25"),
    entrypoint=("/docker-entrypoint.sh",),
    cmd=("nginx", "-g", "daemon off;"),
    working_dir="/srv",
)
SHELL = ImageConfig(cmd=("sh",))


def process(spec: ProcessSpec | None = None, **fields: Any) -> Process:
    given = {"container_id": "a" * 64, "run": "1.0", "hostname": "web", "sandbox": "cnm-aaaaaaaaaaaa"} | fields
    return Process(**given, process=spec or ProcessSpec())


def config(spec: ProcessSpec | None = None, image: ImageConfig = SHELL, user: User | None = None, **fields: Any) -> Any:
    return bundle.config(
        process(spec, **fields),
        image,
        user or User(home="/root"),
        rootfs=Path("/rootfs"),
        files=Path("/state/containers/a"),
        limits=HostLimits(),
        binds=spec.binds if spec else (),
    )


@pytest.mark.parametrize(
    ("entrypoint", "args", "line"),
    [
        (None, (), ("/docker-entrypoint.sh", "nginx", "-g", "daemon off;")),
        (None, ("bash",), ("/docker-entrypoint.sh", "bash")),
        (("/bin/sh", "-c"), ("id",), ("/bin/sh", "-c", "id")),
        (("/bin/sh",), (), ("/bin/sh",)),
        ((), ("id",), ("id",)),
    ],
)
def test_the_command_line_is_combined_as_docker_does(
    entrypoint: tuple[str, ...] | None, args: tuple[str, ...], line: tuple[str, ...]
) -> None:
    assert bundle.command_line(ProcessSpec(entrypoint=entrypoint, args=args), NGINX) == line


@pytest.mark.parametrize(("entrypoint", "image"), [(None, ImageConfig()), ((), NGINX)])
def test_a_container_without_any_command_is_refused(entrypoint: tuple[str, ...] | None, image: ImageConfig) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        bundle.command_line(ProcessSpec(image="web", entrypoint=entrypoint), image)
    assert refusal.value.field == "command"


def test_the_environment_has_docker_s_order_of_precedence() -> None:
    spec = ProcessSpec(env=(("VERSION", "2"), ("MINE", "1")), tty=True)
    values = bundle.environment(
        process(spec, link_env=(("DB_PORT", "tcp://172.17.0.2:5432"), ("MINE", "from the link"))),
        NGINX,
        User(home="/h"),
    )
    assert values == [
        "PATH=/opt/bin:/bin",
        "HOSTNAME=web",
        "TERM=xterm",
        "DB_PORT=tcp://172.17.0.2:5432",
        "MINE=1",
        "VERSION=2",
        "HOME=/h",
    ]


def test_a_path_is_given_where_neither_image_nor_container_names_one() -> None:
    assert f"PATH={bundle.DEFAULT_PATH}" in bundle.environment(process(), SHELL, User())


def test_home_is_not_changed_when_the_container_sets_it() -> None:
    values = bundle.environment(process(ProcessSpec(env=(("HOME", "/x"),))), SHELL, User(home="/root"))
    assert "HOME=/x" in values
    assert "HOME=/root" not in values


@pytest.mark.parametrize(
    ("own", "image", "expected"),
    [("", "", "/"), ("", "/srv", "/srv"), ("/a/../b", "/srv", "/b"), ("logs", "/srv", "/srv/logs"), ("x", "", "/x")],
)
def test_a_relative_working_directory_is_below_that_of_the_image(own: str, image: str, expected: str) -> None:
    assert bundle.working_dir(ProcessSpec(working_dir=own), ImageConfig(working_dir=image)) == expected


def test_root_gets_docker_s_fourteen_capabilities_and_can_gain_no_more() -> None:
    value = config()["process"]
    assert len(value["capabilities"]["effective"]) == 14
    assert value["capabilities"]["bounding"] == value["capabilities"]["effective"]
    assert value["capabilities"]["ambient"] == []
    assert value["noNewPrivileges"] is True


def test_another_user_holds_no_capability() -> None:
    value = config(user=User(uid=1000, gid=1000))["process"]["capabilities"]
    assert value["effective"] == value["permitted"] == []
    assert len(value["bounding"]) == 14


def test_the_sandbox_is_joined_and_its_sysctls_are_docker_s() -> None:
    linux = config()["linux"]
    assert {"type": "network", "path": "/run/netns/cnm-aaaaaaaaaaaa"} in linux["namespaces"]
    assert {space["type"] for space in linux["namespaces"]} == {"pid", "mount", "ipc", "uts", "network"}
    assert linux["sysctl"]["net.ipv4.ip_unprivileged_port_start"] == "0"


def test_the_host_s_network_has_no_namespace_and_no_sysctl_is_touched() -> None:
    linux = config(sandbox="")["linux"]
    assert "network" not in {space["type"] for space in linux["namespaces"]}
    assert linux["sysctl"] == {}


def test_the_domain_name_is_set_in_the_container_s_own_uts_namespace() -> None:
    value = config(domainname="example.org")
    assert value["hostname"] == "web"
    assert value["linux"]["sysctl"]["kernel.domainname"] == "example.org"


def test_the_three_files_are_bound_read_write_from_the_container_s_folder() -> None:
    mounts = {mount["destination"]: mount for mount in config()["mounts"]}
    for name in ("hosts", "hostname", "resolv.conf"):
        assert mounts[f"/etc/{name}"]["source"] == f"/state/containers/a/{name}"
        assert "rw" in mounts[f"/etc/{name}"]["options"]
    assert "ro" in mounts["/sys"]["options"]


def test_bind_mounts_follow_the_files() -> None:
    mounts = config(ProcessSpec(binds=("/data:/srv:ro", "/log:/var/log")))["mounts"]
    assert [(m["source"], m["destination"], m["options"][-1]) for m in mounts[-2:]] == [
        ("/data", "/srv", "ro"),
        ("/log", "/var/log", "rw"),
    ]


@pytest.mark.parametrize(
    "text", ["", "/a", "-a:/b", "a b:/c", "..:/a", "/a:b", "/a:/b:rx", "/a:/b:ro:z", "/a/../b:/c", "/a:/../c", "/a:/"]
)
def test_a_malformed_bind_mount_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        bundle.parse_bind(text)
    assert refusal.value.field == "binds"


def test_no_limit_is_raised_above_our_own() -> None:
    value = bundle.config(
        process(),
        SHELL,
        User(),
        rootfs=Path("/r"),
        files=Path("/f"),
        limits=HostLimits(open_files=512, may_set_oom_score=False),
    )["process"]
    assert value["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 512}]
    assert "oomScoreAdj" not in value


def test_an_image_configuration_with_nulls_and_strings_is_read() -> None:
    assert ImageConfig.from_oci({"Env": None, "Cmd": "sh", "Entrypoint": None, "User": None}) == ImageConfig(
        cmd=("sh",)
    )


def test_an_init_is_mounted_and_runs_the_command() -> None:
    value = bundle.config(
        process(ProcessSpec(args=("sleep", "9"), init=True)),
        SHELL,
        User(),
        rootfs=Path("/rootfs"),
        files=Path("/files"),
        limits=HostLimits(),
        init=Path("/usr/bin/tini-static"),
    )
    assert value["process"]["args"] == ["/sbin/docker-init", "--", "sleep", "9"]
    mounted = value["mounts"][-1]
    assert (mounted["source"], mounted["destination"]) == ("/usr/bin/tini-static", "/sbin/docker-init")
    assert "ro" in mounted["options"]


def test_an_init_needs_no_libraries(tmp_path: Path) -> None:
    busybox = Path(shutil.which("busybox") or "")
    assert is_static(busybox)
    assert not is_static(Path(sys.executable).resolve()), "it needs the C library"
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert not is_static(script)
    assert not is_static(tmp_path / "nothing")
    assert find_init(str(tmp_path)) is None
    shutil.copy(Path(sys.executable).resolve(), tmp_path / "docker-init")
    assert find_init(str(tmp_path)) is None, "that one would find no libraries in a container"
    shutil.copy(busybox, tmp_path / "tini")
    assert find_init(str(tmp_path)) == tmp_path / "tini"


def test_folders_in_memory_are_mounted_with_docker_s_options_each_after_what_it_lies_in() -> None:
    spec = ProcessSpec(binds=("/srv/x:/data/in/deep",), tmpfs=("/data/in", "/run:size=1m,mode=1777", "/data:exec"))
    mounts = config(spec)["mounts"]
    own = [mount["destination"] for mount in mounts if mount["destination"].startswith(("/data", "/run"))]
    assert own == ["/run", "/data", "/data/in", "/data/in/deep"]
    found = {mount["destination"]: mount for mount in mounts}
    assert found["/run"]["type"] == "tmpfs"
    assert found["/run"]["options"] == ["noexec", "nosuid", "nodev", "size=1m", "mode=1777"]
    assert found["/data"]["options"] == ["noexec", "nosuid", "nodev", "exec"]
