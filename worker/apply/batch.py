"""Netlink messages of several steps, sent together, each step's outcome kept apart."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from networks.cnm.errors import CnmError, KernelRefused
from networks.cnm.plan import Step
from networks.cnm.text import gettext_noop
from worker.kernel.netlink import Netlink


def refused(step: Step, errno: int, cause: str = "") -> KernelRefused:
    """The error that names a step, what the kernel said, and what can be done."""
    return KernelRefused(
        gettext_noop("The kernel refused to {step}: {cause}."),
        remedy=gettext_noop(
            "Look at the host's page for what this kernel lacks, and for links of others in the way; "
            "then repair or delete the object."
        ),
        subject=f"{step.resource.owner.kind} {step.resource.owner.name}".strip(),
        facts={"errno": errno, "key": list(step.key)},
        step=step.describe(),
        cause=cause or os.strerror(errno),
    )


Unfinished = dict[int, CnmError | None]
"""``id(step)`` of each step that a writer did not carry out -> its error, or None where it was not tried."""


def not_tried(steps: Iterable[Step]) -> Unfinished:
    return {id(step): None for step in steps}


class Batch:
    """Messages to one namespace, collected and then sent in one datagram."""

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink
        self._messages: list[bytes] = []
        self._of: list[tuple[Step, Collection[int]]] = []

    def add(self, step: Step, message: bytes, *, fine: Collection[int] = ()) -> None:
        """*fine*: error numbers that mean the kernel is already as the step wants it."""
        self._messages.append(message)
        self._of.append((step, fine))

    def send(self) -> Unfinished:
        """Send what was collected; ``id(step)`` -> its first error, of steps that the kernel refused."""
        failed: Unfinished = {}
        for (step, fine), answer in zip(self._of, self._netlink.exchange(self._messages), strict=True):
            if answer.errno and answer.errno not in fine and id(step) not in failed:
                failed[id(step)] = refused(step, answer.errno, answer.cause)
        self._messages.clear()
        self._of.clear()
        return failed
