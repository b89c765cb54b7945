"""Where the product lives on a host, and small things that every step needs. Standard library only: it runs before anything is there."""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
"""The clone that ``make`` runs in."""
PREFIX = Path("/opt/cnmweb")
CURRENT = PREFIX / "current"
STATE = Path("/var/lib/cnm")
RUN = Path("/run/cnm")
LOGS = Path("/var/log/cnm")
CONFIG = Path("/etc/cnm/cnm.env")
USER = "cnm"
PYTHON = "/usr/bin/python3"
"""The distribution's own: what root runs must not be a user's."""
LEAST_PYTHON = (3, 11)


def say(text: str) -> None:
    print(text, flush=True)


def refuse(text: str) -> None:
    """Stop with a sentence."""
    raise SystemExit(f"cnmweb: {text}")


def require_root() -> None:
    if os.geteuid() != 0:
        refuse("this changes the host's network, so it needs root: run it with sudo.")


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    user: str = "",
    quiet: bool = True,
) -> str:
    """Run a program to its end; its output. When it fails, stop with what it printed."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=dict(env) if env is not None else None,
        user=user or None,
        group=user or None,
        extra_groups=[] if user else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if done.returncode:
        refuse(f"{' '.join(map(str, command))} failed ({done.returncode}).\n{done.stdout or ''}")
    return done.stdout or ""


def hash_of(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:16]


def configuration() -> dict[str, str]:
    """The ``CNM_*`` variables that every process gets: the configuration file's, and where things are."""
    values = {"CNM_STATE_DIR": str(STATE), "CNM_RUN_DIR": str(RUN), "CNM_STATIC_ROOT": str(CURRENT / "staticfiles")}
    try:
        lines = CONFIG.read_text().splitlines()
    except FileNotFoundError:
        lines = []
    for line in lines:
        name, found, value = line.strip().partition("=")
        if found and name.startswith("CNM_"):
            values[name] = value
    return values


def environment() -> dict[str, str]:
    """The whole environment of the product's processes: nothing of the caller's leaks in."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(STATE),
        "PYTHONPATH": str(CURRENT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SETTINGS_MODULE": "cnmweb.settings",
        "C_FORCE_ROOT": "1",  # Celery asks whether root is meant: the kernel worker is root's by design
        **configuration(),
    }


def manage(*words: str, user: str = USER) -> str:
    """A management command of the installed product."""
    return run([CURRENT / "venv/bin/python", CURRENT / "manage.py", *words], cwd=CURRENT, env=environment(), user=user)


def user_exists() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def host_name() -> str:
    return configuration().get("CNM_HOST_NAME", "local")


def python_is_new_enough() -> bool:
    return sys.version_info >= LEAST_PYTHON
