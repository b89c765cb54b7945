"""Programs that begin to hold a port: nothing tells of them, so the kernel's list of such sockets is looked at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Set

from worker.kernel import sysctl
from worker.kernel.sock_diag import BoundSocket, SocketDiag, decoded

from .sources import Port, Tell

log = logging.getLogger(__name__)


class ListenerSource:
    """A port that somebody takes is news, for a request to publish it is refused by what the worker knows of it.

    One that is given up is none: before a refusal the worker looks again. *ours* says which of some ports the port holder has.
    """

    def __init__(self, ours: Callable[[Set[Port]], Set[Port]]) -> None:
        self._ours = ours
        self._diag: SocketDiag | None = None
        self._seen: Set[bytes] = set()
        try:
            self._diag = SocketDiag()
            self._seen = self._diag.read().keys()
        except OSError as error:
            self._give_up(error)

    def glance(self, tell: Tell) -> None:
        if self._diag is None:
            return
        try:
            now = self._diag.read()
        except OSError as error:
            self._give_up(error)
            return
        new = [decoded(*now[cookie]) for cookie in now.keys() - self._seen]
        self._seen = now.keys()
        ports = {(item.protocol, str(item.address), item.port) for item in new if not _passes(item)}
        if ports and ports - self._ours(ports):
            tell("facts", "")

    def _give_up(self, error: OSError) -> None:
        """The worker sees them with its clock all the same."""
        log.warning("who begins to hold a port is seen every few seconds only: %s", error)
        if self._diag is not None:
            self._diag.close()
        self._diag = None


def _passes(item: BoundSocket) -> bool:
    """Whether it is one of the many UDP sockets that ask something and are gone: the kernel chose their port (ip(7))."""
    if item.protocol != "udp":
        return False
    low, high = (sysctl.read("net.ipv4.ip_local_port_range") or "32768 60999").split()
    return int(low) <= item.port <= int(high)
