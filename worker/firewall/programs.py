"""Running the programs that read and write rules."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from networks.cnm.errors import Unavailable, Unsupported
from networks.cnm.text import gettext_noop

TIMEOUT_S = 120
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
"""Complaints in English, for they are read; and the folders in which a user's PATH does not look."""


def is_installed(program: str) -> bool:
    """Whether there is such a program on this host."""
    return shutil.which(program, path=ENVIRONMENT["PATH"]) is not None


def run_program(
    command: Sequence[str], text: str = "", *, package: str, when_late: str
) -> subprocess.CompletedProcess[str]:
    """Run *command* with *text* as its input; what its end means is for the caller to say.

    Raises :class:`Unsupported` where it is missing, naming the *package* that has it, and :class:`Unavailable` when it does not come
    to an end; *when_late* is the remedy for that.
    """
    try:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env=ENVIRONMENT,
            check=False,
            errors="surrogateescape",
        )
    except FileNotFoundError:
        raise Unsupported(
            gettext_noop("{program} is not installed on this host."),
            remedy=gettext_noop("Install the package {package}."),
            program=command[0],
            package=package,
        ) from None
    except subprocess.TimeoutExpired:
        raise Unavailable(
            gettext_noop("{program} did not come to an end within {seconds} seconds."),
            remedy=when_late,
            program=command[0],
            seconds=TIMEOUT_S,
        ) from None
