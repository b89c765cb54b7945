"""Running the programs that read and write rules."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from networks.cnm.errors import Unavailable, Unsupported
from networks.cnm.text import gettext_noop
from worker.patience import pause_point

TIMEOUT_S = 120
PAUSE_S = 0.02
"""How often a look asks, while its program runs, whether it is to give way."""
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
    to an end; *when_late* is the remedy for that. A look that gives way does so while its program runs, too.
    """
    try:
        return _run(command, text)
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


def _run(command: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
    # From a file: of what goes through a pipe, communicate() forgets the rest when its time is over (CPython 3.11).
    with os.fdopen(os.memfd_create(command[0]), "w+", errors="surrogateescape") as given:
        given.write(text)
        given.seek(0)
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
            errors="surrogateescape",
        )
    with process:
        try:
            return _answer(process, time.monotonic() + TIMEOUT_S)
        except BaseException:
            process.kill()
            raise


def _answer(process: subprocess.Popen[str], deadline: float) -> subprocess.CompletedProcess[str]:
    while True:
        with suppress(subprocess.TimeoutExpired):
            out, err = process.communicate(timeout=PAUSE_S)
            return subprocess.CompletedProcess(process.args, process.returncode, out, err)
        if time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(process.args, TIMEOUT_S)
        pause_point()
