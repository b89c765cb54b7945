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
    for name in ("migrate", "web", "kernel", "slow", "sessions", "monitor"):
        given = {variable.removesuffix("_FILE") for variable in services[name]["environment"]}
        assert read - fixed <= given, name


def test_compose_keeps_secrets_out_of_environments() -> None:
    whole = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    for name, service in whole["services"].items():
        for variable, value in service.get("environment", {}).items():
            secret = any(word in variable for word in ("PASSWORD", "SECRET_KEY"))
            assert not secret or (variable.endswith("_FILE") and Path(value).name in service["secrets"]), (
                name,
                variable,
            )
        assert set(service.get("secrets", ())) <= set(whole["secrets"]), name
        assert not service.get("privileged"), name


def test_compose_gives_rights_to_those_alone_who_need_them() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        starts_containers = name in {"kernel", "slow", "sessions"}
        assert starts_containers or "no-new-privileges:true" in service["security_opt"], name
        assert starts_containers or name == "dns" or "SYS_ADMIN" not in service.get("cap_add", ()), name
    assert "cap_add" not in services["web"]


def test_compose_looks_after_what_stays() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        if service["restart"] != "no" and name != "monitor":  # it says nothing that could be asked for
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_compose_gives_the_root_side_what_it_works_on() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    for name in ("holder", "dns", "kernel", "slow", "sessions", "monitor"):
        service = services[name]
        assert (service["network_mode"], service["pid"], service["cgroup"]) == ("host", "host", "host"), name
        assert "systempaths=unconfined" in service["security_opt"], "/proc/sys is to be written"
        for volume in service["volumes"]:
            # A volume in the short form makes the folder that is missing.
            if isinstance(volume, dict) and volume["source"].startswith("/run/"):
                assert volume["bind"].get("create_host_path"), f"{volume['source']} may be missing"
    assert "ln -s /host/run/xtables.lock /run/xtables.lock" in dockerfile


def test_makefile_has_every_command_of_the_readme() -> None:
    named = set(re.findall(r"(?:`|sudo )make ([a-z-]+)", (REPOSITORY / "README.md").read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets


def test_makefile_starts_programs_that_are_there() -> None:
    """A benchmark that was lost would be missed by nobody else."""
    started = set(re.findall(r"python -m ([a-z_.]+)", (REPOSITORY / "Makefile").read_text())) - {"pytest"}
    for name in started:
        path = REPOSITORY / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


def test_compose_and_systemd_give_roots_processes_the_same_rights() -> None:
    sys.path.insert(0, str(REPOSITORY / "install"))
    from processes import programs  # type: ignore[import-not-found]
    from units import unit_text  # type: ignore[import-not-found]

    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    texts = {program.name: unit_text(program) for program in programs()}
    for name in ("holder", "dns", "monitor", "engine"):
        given = re.findall(r"^CapabilityBoundingSet=(.+)$", texts[name], re.MULTILINE)[-1]
        own_key = {"CAP_DAC_READ_SEARCH"} if name == "engine" else set()  # which is a secret's file in a container
        assert {f"CAP_{right}" for right in services[name]["cap_add"]} == set(given.split()) - own_key, name
