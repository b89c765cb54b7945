"""``make up``: install what is missing, start everything, say where it is. Run again, it changes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import services
from layout import (
    CONFIG,
    CURRENT,
    LOGS,
    PREFIX,
    PYTHON,
    RUN,
    STATE,
    TREE,
    USER,
    configuration,
    environment,
    hash_of,
    manage,
    python_is_new_enough,
    refuse,
    require_root,
    run,
    say,
    user_exists,
)

PACKAGES = {
    "iptables": "iptables",
    "nft": "nftables",
    "redis-server": "redis-server",
    "crun": "crun",
    "conmon": "conmon",
    "skopeo": "skopeo",
    "umoci": "umoci",
    "ip": "iproute2",
    "node": "nodejs",
    "npm": "npm",
    "gcc": "gcc",
    "python3": "python3",
}
"""Program -> the Debian package that has it."""
START_TIMEOUT_S = 90
SKIPPED = (".git", "node_modules", ".venv", "dist", "staticfiles", "__pycache__", ".mypy_cache", ".ruff_cache")


def step(name: str, work: Callable[[], object]) -> bool:
    """One step: says what it did, or that there was nothing to do."""
    print(f"  {name} … ", end="", flush=True)
    started = time.monotonic()
    changed = work()
    print(
        f"{changed if isinstance(changed, str) else 'done'} ({time.monotonic() - started:.1f} s)"
        if changed
        else "unchanged",
        flush=True,
    )
    return bool(changed)


def install_packages() -> str:
    found = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [package for program, package in PACKAGES.items() if shutil.which(program, path=found) is None]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not Path(f"/usr/include/python{version}/Python.h").exists():
        missing.append("python3-dev")
    if subprocess.run([PYTHON, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode:
        missing.append("python3-venv")
    if not Path("/usr/include/stdlib.h").exists():
        missing.append("libc6-dev")
    if not missing:
        return ""
    if shutil.which("apt-get") is None:
        refuse(f"these packages are missing and there is no apt-get to install them: {' '.join(missing)}.")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with no_services_started():
        run(["apt-get", "update", "-q"], env=env)
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing], env=env)
    return "installed " + " ".join(missing)


@contextlib.contextmanager
def no_services_started() -> Iterator[None]:
    """Debian starts services when it installs them; our Redis is a private one, so the system's stays off."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def make_user() -> bool:
    if user_exists():
        return False
    run(
        [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            STATE,
            "--shell",
            "/usr/sbin/nologin",
            USER,
        ]
    )
    return True


def tree_files() -> list[Path]:
    """The files of the product: what git knows, or (without git) everything that is not built."""
    if (TREE / ".git").exists() and shutil.which("git"):
        listed = run(
            [
                "git",
                "-c",
                f"safe.directory={TREE}",
                "-C",
                TREE,
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ]
        )
        return sorted(TREE / name for name in listed.split("\0") if name and (TREE / name).is_file())
    found = []
    for folder, names, files in os.walk(TREE):
        names[:] = [name for name in names if name not in SKIPPED]
        found += [Path(folder) / name for name in files]
    return sorted(found)


def install_tree() -> str:
    """Copy the tree to a root-owned place of its own, build everything there, then switch to it at once."""
    files = tree_files()
    version = hash_of(part for path in files for part in (str(path.relative_to(TREE)).encode(), path.read_bytes()))
    release = PREFIX / "releases" / version
    if CURRENT.is_symlink() and CURRENT.resolve() == release:
        return ""
    if release.exists():
        shutil.rmtree(release)
    release.mkdir(parents=True)
    for path in files:
        target = release / path.relative_to(TREE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    build(release)
    switch(release)
    remove_old(release)
    return f"release {version}"


def build(release: Path) -> None:
    venv = install_python(release)
    (release / "venv").symlink_to(venv)
    install_front(release)
    nowhere = tempfile.mkdtemp()
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(release),
        "CNM_STATE_DIR": nowhere,
        "CNM_RUN_DIR": nowhere,
        "CNM_STATIC_ROOT": str(release / "staticfiles"),
    }
    python = release / "venv/bin/python"
    run([python, release / "manage.py", "collectstatic", "--noinput", "-v0"], cwd=release, env=env)
    shutil.rmtree(nowhere)
    run([python, "-m", "compileall", "-q", release], cwd=release, env=env)


def install_python(release: Path) -> Path:
    """The virtual environment of these lock files; one is shared by all releases with the same."""
    lock = (release / "requirements/base.txt").read_bytes()
    venv = PREFIX / "venvs" / hash_of([lock, sys.version.encode()])
    if (venv / "complete").exists():
        return venv
    say("\n    Python packages (a minute or two)")
    shutil.rmtree(venv, ignore_errors=True)
    run([PYTHON, "-m", "venv", venv])
    run(
        [
            venv / "bin/pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            release / "requirements/base.txt",
        ]
    )
    (venv / "complete").touch()
    return venv


def install_front(release: Path) -> None:
    say("    console (npm)")
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=release)
    run(["node", "build.mjs"], cwd=release)
    shutil.rmtree(release / "node_modules")


def switch(release: Path) -> None:
    beside = PREFIX / "current.new"
    beside.unlink(missing_ok=True)
    beside.symlink_to(release)
    beside.rename(CURRENT)


def remove_old(release: Path) -> None:
    """Keep the release before this one, for processes that still run from it."""
    others = sorted(
        (path for path in release.parent.iterdir() if path != release), key=lambda path: path.stat().st_mtime
    )
    for path in others[:-1]:
        shutil.rmtree(path, ignore_errors=True)


def configure() -> bool:
    """Keep the CNM_* variables of the first start; later ones are changed in the file."""
    if CONFIG.exists():
        return False
    CONFIG.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    once = ("CNM_ADMIN_PASSWORD", "CNM_ADMIN_USER", "CNM_YES")
    given = {name: value for name, value in sorted(os.environ.items()) if name.startswith("CNM_") and name not in once}
    CONFIG.write_text("# Settings of CNM Web, one NAME=value a line; see docs/settings.md. Then: make restart\n")
    with CONFIG.open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in given.items())
    CONFIG.chmod(0o640)
    return True


def make_folders() -> bool:
    """Root owns what root works in; the product's own user writes to its database and its Redis socket alone."""
    made = not STATE.exists() or not RUN.exists()
    for folder, mode, owner in (
        (STATE, 0o755, "root"),
        (STATE / "db", 0o750, USER),
        (STATE / "uploads", 0o700, USER),
        (STATE / "images", 0o710, "root"),
        (STATE / "containers", 0o710, "root"),
        (RUN, 0o755, "root"),
        (RUN / "redis", 0o700, USER),
        (LOGS, 0o750, "root"),
    ):
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        folder.chmod(mode)
        shutil.chown(folder, owner, USER)
    return made


def migrate() -> str:
    manage("migrate", "-v0")
    given = {name: os.environ[name] for name in ("CNM_ADMIN_USER", "CNM_ADMIN_PASSWORD") if name in os.environ}
    return run(
        [CURRENT / "venv/bin/python", CURRENT / "manage.py", "bootstrap"],
        cwd=CURRENT,
        env=environment() | given,
        user=USER,
    ).strip()


def address() -> str:
    return f"http://{configuration().get('CNM_BIND', '127.0.0.1:8000')}/"


def wait_until_ready() -> None:
    """Until the web answers and the worker has told that it lives."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, urllib.error.URLError):
            answer = urllib.request.urlopen(address() + "health", timeout=2)  # noqa: S310  # our own address
            if json.load(answer)["workers"]["alive"]:
                return
        time.sleep(0.2)
    refuse(f"it did not start within {START_TIMEOUT_S} s; see the logs in {LOGS} (or journalctl -u 'cnm-*').")


def main() -> None:
    require_root()
    os.umask(0o022)  # what is installed must be readable by the product's own user, whatever root's habit is
    if not python_is_new_enough():
        refuse(
            f"Python 3.11 or newer is needed, and {PYTHON} is {sys.version.split()[0]}: use Debian 12 or Ubuntu 24.04."
        )
    say("CNM Web: make up")
    say(
        "  This host gets the bridge of the default network, our own firewall chains, and IP forwarding; `make down` takes them away."
    )
    changed = step("system packages", install_packages)
    changed |= step("user cnm", make_user)
    new_release = step("product", install_tree)
    changed |= step("configuration", configure)
    changed |= step("folders", make_folders)
    said = migrate()
    fresh = step("processes", services.start_all)
    if new_release and not fresh:
        step("replacing processes", lambda: services.restart() or True)
    wait_until_ready()
    say(manage("check", "--database", "default").rstrip())
    if said:
        say("\n" + said)
    say(f"\nCNM Web is at {address()}" + ("" if changed or new_release or fresh else " (nothing had to be changed)"))


if __name__ == "__main__":
    main()
