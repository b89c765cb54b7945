"""Signals by name, and waiting for a process to end."""

from __future__ import annotations

import select
import signal

from networks.cnm.errors import InvalidSpec
from networks.cnm.signals import NUMBERS
from networks.cnm.text import gettext_noop


def signal_number(name: str) -> int:
    """``SIGTERM``, ``TERM`` or ``15``. Raises InvalidSpec for what is no signal."""
    text = name.upper()
    try:
        number = int(text) if text.isdigit() else NUMBERS[text if text.startswith("SIG") else f"SIG{text}"]
        if 0 < number < signal.NSIG:
            return int(number)
    except KeyError:
        pass
    raise InvalidSpec(
        gettext_noop("{name} is no signal."),
        remedy=gettext_noop("Give a name such as SIGTERM, or a number."),
        field="signal",
        name=name,
    )


def wait_for_end(fd: int, timeout_s: float) -> bool:
    """Whether the process of a pidfd ended within *timeout_s*."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
