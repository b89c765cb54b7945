"""``make up``: install what is missing, start everything, say where it is. Run again, it changes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import configuration
import packages
import release
import services
import units
from configuration import address, manage
from layout import (
    LOGS,
    PYTHON,
    RUN,
    STATE,
    USER,
    python_is_new_enough,
    refuse,
    require_root,
    run,
    say,
    user_exists,
)

START_TIMEOUT_S = 90
REASON_AFTER_S = 12
"""A worker that cannot start tries again every few seconds: its reason is believed when it has stood for this long."""


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


def make_user() -> bool:
    if user_exists():
        return False
    home = ("--no-create-home", "--home-dir", STATE, "--shell", "/usr/sbin/nologin")
    run(["useradd", "--system", "--user-group", *home, USER])
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
        *units.folders(),
        (LOGS, 0o750, "root"),
    ):
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        folder.chmod(mode)
        shutil.chown(folder, owner, USER)
    return made


def bootstrap() -> None:
    """Take the settings into the database. What it says (the first admin's password) is shown at once, whatever comes after."""
    once = ("CNM_ADMIN_USER", "CNM_ADMIN_PASSWORD")
    manage("bootstrap", env={name: os.environ[name] for name in once if name in os.environ}, show=True)


def wait_until_ready() -> None:
    """Until the web answers and the worker is through with its first pass. Stops with the reason when it cannot."""
    started, console = time.monotonic(), configuration.has_console()
    while (waited := time.monotonic() - started) < START_TIMEOUT_S:
        workers = _health() if console else {}
        if (workers or not console) and services.READY.exists() and _takes_calls(RUN / "docker.sock"):
            return
        silent = workers.get("failed") or not console
        if silent and waited > REASON_AFTER_S and (reason := manage("worker_error").strip()):
            refuse(
                f"the worker cannot start: {reason}\nIt tries again by itself; the host's page at {address()} shows it, too."
            )
        time.sleep(0.2)
    refuse(f"it did not start within {START_TIMEOUT_S} s. The last that its processes said:\n{services.last_words()}")


def migrate() -> None:
    """Bring the database up to the code; where the console is another host's, that one does, and the code must be as its is."""
    if configuration.has_console():
        manage("migrate", "-v0")
        return
    state = manage("showmigrations", "--plan")
    if "[ ]" in state:
        refuse("the console's database is of an older version than this host's code: update the console first.")


def _health() -> dict[str, int]:
    """What ``/health`` counts; nothing while the web does not answer."""
    request = urllib.request.Request(address() + "health", headers={"Host": "localhost"})  # noqa: S310  # our own address
    with contextlib.suppress(OSError, urllib.error.URLError, ValueError):
        found: dict[str, int] = json.load(urllib.request.urlopen(request, timeout=2))["workers"]  # noqa: S310
        return found
    return {}


def _takes_calls(path: Path) -> bool:
    """Whether somebody listens on a Unix socket; the file alone may be one that was left."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        return True
    return False


def where() -> str:
    """The console's address, and what else has to be known to reach it."""
    if not configuration.has_console():
        return "the console that this host has joined"
    host, _ = configuration.bind()
    if host not in configuration.EVERY_ADDRESS:
        return address()
    named = "CNM_ALLOWED_HOSTS" in configuration.kept()
    hint = "" if named else "; name the host names that people will type in CNM_ALLOWED_HOSTS"
    return f"{address()} and every address of this host{hint}"


def main() -> None:
    require_root()
    os.umask(0o022)  # what is installed must be readable by the product's own user, whatever root's habit is
    if not python_is_new_enough():
        refuse(
            f"Python 3.11 or newer is needed, and {PYTHON} is {sys.version.split()[0]}: use Debian 12 or Ubuntu 24.04."
        )
    configuration.check()
    say("CNM Web: make up")
    say(
        "  This host gets the bridge of the default network, our own firewall chains, and IP forwarding; `make down` takes them away."
    )
    changed = step("system packages", packages.install)
    changed |= step("user cnm", make_user)
    changed |= step("product", release.install_tree)
    if not step("configuration", configuration.configure) and (left := configuration.ignored()):
        say(f"    {', '.join(left)} of this run's environment: not used; {configuration.CONFIG} holds the settings")
    changed |= step("folders", make_folders)
    migrate()
    bootstrap()
    fresh = step("processes", services.start_all)
    if not fresh and services.stale():
        fresh = step("replacing processes", lambda: services.restart() or True)
    wait_until_ready()
    say(manage("check", "--database", "default").rstrip())
    say(f"\nCNM Web is at {where()}" + ("" if changed or fresh else " (nothing had to be changed)"))


if __name__ == "__main__":
    main()
