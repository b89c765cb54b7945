"""What is written beside the code says what the code does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_setting_is_explained_and_nothing_else_is() -> None:
    reads = re.compile(r"(?:env\.\w+|\.get|in)\(?\s*\(?\s*\"(CNM_[A-Z_]+)\"")
    code = [
        path for folder in ("cnmweb", "networks", "install", "worker") for path in (REPOSITORY / folder).rglob("*.py")
    ]
    read = {name for path in code for name in reads.findall(path.read_text())}
    explained = set(re.findall(r"`(CNM_[A-Z_]+)[=`]", (REPOSITORY / "docs/settings.md").read_text()))
    assert read - explained == set(), "these variables are read and not explained"
    assert explained - read == set(), "these variables are explained and not read"


def test_compose_starts_every_process_as_make_up_does() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    sys.path.insert(0, str(REPOSITORY / "install"))
    from processes import programs  # type: ignore[import-not-found]  # the installer is no package

    for program in programs():
        words = [word for word in program.command if "/" not in word and "local" not in word]
        command = " ".join(services[program.name]["command"])
        for word in words[1:] if program.name != "redis" else words:
            assert word in command, f"{program.name}: {word}"
        ordinary = "user" not in services[program.name] or services[program.name]["user"] != "0:0"
        assert ordinary == (program.user != "root"), program.name


def test_compose_passes_every_setting() -> None:
    text = (REPOSITORY / "cnmweb/settings.py").read_text()
    read = set(re.findall(r"env\.\w+\(\s*\"(CNM_[A-Z_]+)\"", text))
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    fixed = {
        "CNM_STATE_DIR",
        "CNM_RUN_DIR",
        "CNM_STATIC_ROOT",
        "CNM_BIND",
    }  # the image's own places, and the line of `web`
    for name in ("migrate", "web", "kernel", "slow", "monitor"):
        assert read - fixed <= set(services[name]["environment"]), name


def test_compose_gives_the_root_side_what_it_works_on() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    for name in ("holder", "dns", "kernel", "slow", "monitor"):
        service = services[name]
        assert (service["network_mode"], service["pid"], service["cgroup"]) == ("host", "host", "host"), name
        assert "systempaths=unconfined" in service["security_opt"], "/proc/sys is to be written"
        for volume in service["volumes"]:
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            assert not source.startswith("/run/") or volume["bind"].get("create_host_path"), f"{source} may be missing"
    assert "ln -s /host/run/xtables.lock /run/xtables.lock" in dockerfile


def test_makefile_has_every_command_of_the_readme() -> None:
    named = set(re.findall(r"(?:`|sudo )make ([a-z-]+)", (REPOSITORY / "README.md").read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets
