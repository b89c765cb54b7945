"""What the OCI runtime says when it refuses, as errors for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from networks.cnm.errors import CnmError, InvalidSpec, KernelRefused
from networks.cnm.resources import Process
from networks.cnm.text import gettext_noop

NOT_FOUND = re.compile(
    r"executable file .*not found|open executable: no such file|exec: \".*no such file|exec `.*no such file",
    re.IGNORECASE,
)
NOT_EXECUTABLE = re.compile(
    r"(exec|open).*(permission denied|not permitted|is a directory|exec format error)", re.IGNORECASE
)


def refusal(words: str, process: Process, program: str) -> CnmError:
    """The error for *words* of the runtime about *process*, whose first word on the command line is *program*."""
    for pattern, make in _KNOWN:
        if pattern.search(words):
            return make(words, process, program)
    return KernelRefused(
        gettext_noop("The container runtime did not start {container}: {cause}."),
        remedy=gettext_noop("Look at the host's page for what this host lacks, or change the container."),
        container=process.name or process.container_id[:12],
        cause=words.rstrip("."),
        facts={"key": list(process.key)},
    )


def _not_found(words: str, process: Process, program: str) -> CnmError:
    return InvalidSpec(
        gettext_noop("The command {command} does not exist in image {image}."),
        remedy=gettext_noop("Give a command that the image has, with its full path where it is not in PATH."),
        field="command",
        command=program,
        image=process.process.image,
        facts={"key": list(process.key), "cause": words},
    )


def _not_executable(words: str, process: Process, program: str) -> CnmError:
    return InvalidSpec(
        gettext_noop("The command {command} of image {image} may not be executed."),
        remedy=gettext_noop("Give a program, or make the file executable for the container's user."),
        field="command",
        command=program,
        image=process.process.image,
        facts={"key": list(process.key), "cause": words},
    )


_KNOWN: tuple[tuple[re.Pattern[str], Callable[[str, Process, str], CnmError]], ...] = (
    (NOT_FOUND, _not_found),
    (NOT_EXECUTABLE, _not_executable),
)
