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
CACHE = Path("/var/cache/cnmweb")
"""What ``make demo`` builds and keeps for the next time."""
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
    show: bool = False,
) -> str:
    """Run a program to its end; its output. When it fails, stop with what it printed.

    *show*: what it prints on its standard output goes to the terminal at once, and is not given back.
    """
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=dict(env) if env is not None else None,
        user=user or None,
        group=user or None,
        extra_groups=[] if user else None,
        stdin=subprocess.DEVNULL,
        stdout=None if show else subprocess.PIPE,
        stderr=subprocess.PIPE if show else subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        refuse(
            f"{' '.join(map(str, command))} failed ({done.returncode}).\n{done.stdout or done.stderr or ''}".rstrip()
        )
    return done.stdout or ""


def hash_of(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:16]


def user_exists() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def python_is_new_enough() -> bool:
    return sys.version_info >= LEAST_PYTHON
