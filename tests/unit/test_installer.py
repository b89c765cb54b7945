"""The installer's own parts: its file of settings, the units of systemd, and what it does with a host's policy."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnmweb import env
from tests.testlib.bottle import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "install"))


def module(name: str) -> ModuleType:
    """A module of the installer, which is no package: it runs before any is there."""
    return importlib.import_module(name)


configuration, layout, packages, processes, units = map(
    module, ("configuration", "layout", "packages", "processes", "units")
)


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"])))
def test_a_setting_reads_as_it_was_written(value: str) -> None:
    value = value.strip()
    assert configuration.unquote(configuration.quote(value)) == value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("plain", "plain"),
        ("  blanks around  ", "blanks around"),
        (r"back\\slash", r"back\slash"),
        ("'as it is: \\n'", r"as it is: \n"),
        (r'"a \" and a \$"', 'a " and a $'),
        (r'"kept \x"', r"kept \x"),
        ("a'b\"c#d", "a'b\"c#d"),
    ],
)
def test_a_setting_is_read_by_systemds_rules(line: str, value: str) -> None:
    assert configuration.unquote(line) == value


@pytest.mark.parametrize(
    ("bind", "expected", "address"),
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000), "http://127.0.0.1:8000/"),
        ("0.0.0.0:80", ("0.0.0.0", 80), "http://127.0.0.1:80/"),
        ("[::]:8000", ("::", 8000), "http://[::1]:8000/"),
        ("[2001:db8::1]:1", ("2001:db8::1", 1), "http://[2001:db8::1]:1/"),
    ],
)
def test_the_console_is_bound_where_it_was_asked_to_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bind: str, expected: tuple[str, int], address: str
) -> None:
    file = tmp_path / "cnm.env"
    file.write_text(f"CNM_BIND={bind}\n")
    monkeypatch.setattr(configuration, "CONFIG", file)
    monkeypatch.setenv("CNM_BIND", bind)
    assert configuration.bind() == env.bind("CNM_BIND", "") == expected
    assert configuration.address() == address
    web = next(program for program in processes.programs() if program.name == "web")
    assert web.command[web.command.index("--host") + 1] == expected[0]


@pytest.mark.parametrize(
    "bind", ["8000", "localhost:80", "::1:80", "[::1]", "127.0.0.1:0", "127.0.0.1:99999", "[1.2.3.4]:5"]
)
def test_an_address_to_bind_that_makes_no_sense_stops_the_start(monkeypatch: pytest.MonkeyPatch, bind: str) -> None:
    monkeypatch.setenv("CNM_BIND", bind)
    with pytest.raises(SystemExit, match="CNM_BIND"):
        env.bind("CNM_BIND", "127.0.0.1:8000")


@pytest.mark.parametrize("name", ["CNM_STATE_DIR", "CNM_RUN_DIR", "CNM_STATIC_ROOT"])
def test_the_installers_own_folders_are_not_for_choice(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/srv/elsewhere")
    with pytest.raises(SystemExit, match=f"{name}=/srv/elsewhere cannot be used"):
        configuration.check()


def test_units_hold_no_setting_and_keep_their_order() -> None:
    files = units.files()
    for path, text in files.items():
        assert "CNM_SECRET_KEY" not in text
        if path.endswith(".service"):
            assert "RuntimeDirectory" not in text, "the last unit to start would own the folder"
            assert "StartLimitIntervalSec=0" in text
            assert f"EnvironmentFile={layout.CONFIG}" in text
    kernel = files["/etc/systemd/system/cnm-kernel.service"]
    for before in ("cnm-redis.service", "cnm-holder.service", "cnm-bootstrap.service", "nftables.service"):
        assert before in next(line for line in kernel.splitlines() if line.startswith("After="))
    assert "d /run/cnm/redis 0700 cnm cnm -" in files["/etc/tmpfiles.d/cnm.conf"].splitlines()


def test_the_socket_for_a_docker_engine_has_a_folder_that_its_process_may_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(configuration, "CONFIG", tmp_path / "cnm.env")
    assert "docker" not in units.files()["/etc/tmpfiles.d/cnm.conf"]
    (tmp_path / "cnm.env").write_text("CNM_DOCKER_PLUGIN=/run/docker/plugins/cnm/cnm.sock\n")
    files = units.files()
    assert "d /run/docker/plugins/cnm 0755 cnm cnm -" in files["/etc/tmpfiles.d/cnm.conf"].splitlines()
    engine, kernel = (files[f"/etc/systemd/system/cnm-{name}.service"] for name in ("engine", "kernel"))
    assert "ReadWritePaths=/run/cnm -/run/docker/plugins/cnm" in engine
    assert "Before=docker.service" in engine
    assert not [line for line in kernel.splitlines() if line.startswith("After=") and "docker.service" in line]


def test_a_word_of_a_command_means_itself_to_systemd() -> None:
    odd = processes.Program("slow", ("/bin/x", "a b", "50%", "$HOME", 'say "hi"', "\\", ""), description="100 % of it")
    text = units.unit_text(odd)
    assert r'ExecStart=/bin/x "a b" "50%%" "$$HOME" "say \"hi\"" "\\" ""' in text.splitlines()
    assert "Description=CNM Web: 100 %% of it" in text


@pytest.mark.parametrize("setting", ["", "CNM_DOCKER_PLUGIN=/run/docker/plugins/cnm/cnm.sock\n"])
def test_systemd_finds_no_fault_with_the_units(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str) -> None:
    (tmp_path / "cnm.env").write_text(setting)
    monkeypatch.setattr(configuration, "CONFIG", tmp_path / "cnm.env")
    for path, text in units.files().items():
        # What the units name is not installed on this machine: the text is what is judged.
        known = text.replace(str(layout.CURRENT / "venv/bin/python"), "/bin/true").replace(
            "/usr/bin/redis-server", "/bin/true"
        )
        (tmp_path / Path(path).name).write_text(known.replace("User=cnm", "User=www-data"))
    names = sorted(tmp_path.glob("*.service"))
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "cnm-" in line] == []


def test_no_policy_of_ours_is_left_and_the_hosts_own_is_not_touched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "POLICY", policy)
    with packages.no_services_started():
        assert policy.stat().st_mode & 0o111
    assert not policy.exists()
    policy.write_text(packages.OURS)  # a run that was killed
    with packages.no_services_started():
        assert policy.exists()
    assert not policy.exists(), "else no service of the host would ever start again"
    policy.write_text("#!/bin/sh\nexit 0\n")
    with packages.no_services_started():
        pass
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_packages_that_nobody_offers_are_named() -> None:
    assert packages.not_offered(["base-files", "no-such-package-anywhere", "apt"]) == ["no-such-package-anywhere"]


@pytest.mark.parametrize(
    ("release", "word"),
    [
        ('NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n', "add-apt-repository universe"),
        ('NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', "add-apt-repository universe"),
        ("ID=debian\n", "sources.list"),
    ],
)
def test_ubuntus_second_component_is_named_on_ubuntu_alone(tmp_path: Path, release: str, word: str) -> None:
    (tmp_path / "os-release").write_text(release)
    assert word in packages.where_they_are(tmp_path / "os-release")
