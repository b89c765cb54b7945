"""Where news comes from: netlink multicasts, inotify, and a poll for what tells nothing."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import struct
from collections.abc import Callable, Set
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from worker.firewall.generation import legacy_tables
from worker.firewall.iptables import Iptables
from worker.firewall.legacy import sizes
from worker.kernel import meter, sysctl, xfrm
from worker.kernel.ledger import Ledger
from worker.kernel.nft_watch import table_of, writer_of
from worker.runtime.files import share_log
from worker.runtime.folders import Folders

Tell = Callable[[str, str], None]
"""(kind of news, writer or empty)"""
Port = tuple[str, str, int]
"""Protocol, address, number."""

HOLDER_ANSWER_S = 1.0
"""The port holder answers at once; while it hangs, a port of ours is taken for somebody's, which costs a look."""

_NETLINK_ROUTE, _NETLINK_NETFILTER = 0, 12
_SOL_NETLINK, _ADD_MEMBERSHIP, _LISTEN_ALL_NSID = 270, 1, 8
_ROUTE_GROUPS = (1, 3, 5, 7, 9, 11)
"""RTNLGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE."""
_NEIGHBOUR_KINDS = (28, 29)
"""RTM_NEWNEIGH, RTM_DELNEIGH."""
_NUD_PERMANENT, _NDA_DST = 0x80, 1
_NEIGHBOUR_HEADER = 12
_NFTABLES_GROUP = 7
_NEW_GENERATION = (10 << 8) | 15
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE_BYTES = 4 << 20


class Message(NamedTuple):
    """What the kernel multicasts."""

    kind: int
    asker: int
    """The socket whose request caused it (``nlmsg_pid``, netlink(7)), where the kernel says so; 0: nobody's, or it does not say."""
    body: bytes


class _Multicast:
    """A socket that hears what the kernel tells about changes in this network namespace."""

    def __init__(self, protocol: int, groups: tuple[int, ...]) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self.socket = socket.socket(socket.AF_NETLINK, kind, protocol)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        self.socket.bind((0, 0))
        for group in groups:
            self.socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        return self.socket.fileno()

    def messages(self) -> list[Message] | None:
        """Everything that waits; None: the kernel had to drop some.

        What waits is taken in any case: only an emptied socket is told of the next loss.
        """
        found: list[Message] = []
        lost = False
        while True:
            try:
                data = self.socket.recv(1 << 20)
            except BlockingIOError:
                return None if lost else found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            at = 0
            while at + _HEADER.size <= len(data):
                length, kind, _, _, asker = _HEADER.unpack_from(data, at)
                if length < _HEADER.size:
                    break
                found.append(Message(kind, asker, data[at + _HEADER.size : at + length]))
                at += (length + 3) & ~3


class LinkSource(_Multicast):
    """Links, addresses and routes of the host's own namespace, and of every sandbox that a veth joins to it.

    The kernel gives such a namespace an id here when the veth is made, and hands its multicasts to a socket that asks for those
    of all ids (``NETLINK_LISTEN_ALL_NSID``, netlink(7); it needs CAP_NET_BROADCAST).
    """

    def __init__(self) -> None:
        super().__init__(_NETLINK_ROUTE, _ROUTE_GROUPS)
        with suppress(PermissionError):  # without the right the full look finds them, a minute later
            self.socket.setsockopt(_SOL_NETLINK, _LISTEN_ALL_NSID, 1)

    def hear(self, tell: Tell) -> None:
        heard = self.messages()
        if heard is None:
            tell("full", "")
        elif any(message.kind not in _NEIGHBOUR_KINDS or was_told(message) for message in heard):
            tell("links", "")


def was_told(message: Message) -> bool:
    """Whether somebody told the kernel of a neighbour or a forwarding entry, or to forget it.

    What it finds out by itself, and forgets again, is no change of the network; there is much of it. Of a neighbour it names who asked
    for the change: one that is taken away looks otherwise like one that does not answer. Of a VXLAN device's forwarding entries it names
    nobody; those that it learned are not permanent.
    """
    if message.asker:
        return True
    body = message.body
    (state,) = struct.unpack_from("=H", body, 8)
    at = _NEIGHBOUR_HEADER
    while state & _NUD_PERMANENT and at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if kind == _NDA_DST:
            return True
        if length < _ATTRIBUTE.size:
            break
        at += (length + 3) & ~3
    return False


class NftSource(_Multicast):
    """Transactions of nf_tables, native or by iptables-nft; the kernel names who made each.

    One that is of the table alone that counts traffic is no news: it comes and goes with those who look, and decides nothing.
    """

    def __init__(self) -> None:
        super().__init__(_NETLINK_NETFILTER, (_NFTABLES_GROUP,))
        self._tables: set[str] = set()

    def hear(self, tell: Tell) -> None:
        heard = self.messages()
        if heard is None:
            self._tables.clear()
            tell("full", "")
            return
        for message in heard:
            if message.kind != _NEW_GENERATION:
                self._tables.add(table_of(message.body))
                continue
            if self._tables != {meter.NAME}:
                tell("rules", writer_of(message.body))
            self._tables.clear()


class XfrmSource(_Multicast):
    """States and policies of the host's IPsec, whoever's they are: those of an IKE daemon change seldom, and a look costs little.

    Raises OSError where the kernel has no IPsec to listen to.
    """

    def __init__(self) -> None:
        super().__init__(xfrm.NETLINK_XFRM, (xfrm.XFRMNLGRP_SA, xfrm.XFRMNLGRP_POLICY))

    def hear(self, tell: Tell) -> None:
        """What the messages say is left unread: among it are keys."""
        heard = self.messages()
        if heard is None:
            tell("full", "")
        elif heard:
            tell("xfrm", "")


class HolderSource:
    """The port holder. It says nothing here, but its end is heard at once, and each return of it is told."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket is not None else -1

    def find(self, tell: Tell) -> bool:
        """Connect to a holder that (again) is there; whether there is a new connection to listen to."""
        if self._socket is not None:
            return False
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            client.connect(str(self._path))
        except OSError:
            client.close()
            return False
        client.setblocking(False)
        self._socket = client
        tell("holder", "")
        return True

    def lost(self) -> bool:
        """Whether the holder has gone. For when something is to be read; the caller stops listening before it looks again."""
        assert self._socket is not None  # noqa: S101  # nothing is to be read without a connection
        try:
            return not self._socket.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def held(self, ports: Set[Port]) -> Set[Port]:
        """Those of *ports* that it holds, asked on a connection of its own; none where it does not answer."""
        about = [{"protocol": protocol, "address": address, "port": number} for protocol, address, number in ports]
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with client, suppress(OSError, ValueError, KeyError, TypeError):
            client.settimeout(HOLDER_ANSWER_S)
            client.connect(str(self._path))
            client.sendall(json.dumps({"about": about}).encode() + b"\n")
            with client.makefile("rb") as answers:
                found = json.loads(answers.readline())["ports"]
            return {(item["protocol"], item["address"], item["port"]) for item in found}
        return set()


class LegacySource:
    """The legacy tables: nothing tells of their changes, so they are looked at. A table that is not there is not made.

    Their sizes cost microseconds and are looked at often; what leaves all sizes as they were (a rule replaced by one of the same
    length) is found by reading the rules, which is dearer.
    """

    def __init__(self) -> None:
        self._sizes = self._measure()
        self._seen = self._look()

    def glance(self, tell: Tell) -> None:
        now = self._measure()
        if now != self._sizes:
            self._sizes, self._seen = now, self._look()
            tell("legacy", "")

    def poll(self, tell: Tell) -> None:
        now = self._look()
        if now != self._seen:
            self._sizes, self._seen = self._measure(), now
            tell("legacy", "")

    @staticmethod
    def _measure() -> tuple[object, ...]:
        return (sizes(4), sizes(6))

    @staticmethod
    def _look() -> tuple[object, ...]:
        backend = Iptables("iptables-legacy")
        return tuple(
            tuple(line.text for line in backend.read(family).lines) for family in (4, 6) if legacy_tables(family)
        )


class SysctlSource:
    """The kernel settings that we look after; nothing tells of their changes, so they are read (5 µs each)."""

    def __init__(self, ledger_dir: Path) -> None:
        self._ledger = Ledger(ledger_dir / "sysctls.json")
        self._written = -1
        self._values: dict[str, str | None] = {}

    def glance(self, tell: Tell) -> None:
        """What changed since the last look is told; a setting that we have only begun to look after is no news."""
        try:
            written = self._ledger.path.stat().st_mtime_ns
        except FileNotFoundError:
            written = 0
        if written != self._written:
            self._written = written
            self._values = {name: sysctl.read(name) for name in self._ledger.entries()}
            return
        now = {name: sysctl.read(name) for name in self._values}
        if now != self._values:
            self._values = now
            tell("sysctls", "")


_libc = ctypes.CDLL(None, use_errno=True)
_IN_CLOSE_WRITE, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE, _IN_MODIFY = 0x8, 0x80, 0x100, 0x200, 0x2
_EVENT = struct.Struct("iIII")
_OF_CONTAINERS = _IN_CLOSE_WRITE | _IN_MOVED_TO
_ETC_FILES = frozenset({"hosts", "hostname", "resolv.conf"})


class FileSource:
    """Folders: the exits of containers, the names of sandboxes, the three files of each container, and its log.

    A log that was begun anew is no news: it is made readable at once, with the file that will come after it.
    """

    def __init__(self, folders: Folders) -> None:
        run_dir, state_dir = folders.run_dir, folders.state_dir
        self._folders = folders
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._containers = folders.containers
        self._watched: dict[int, tuple[str, Path]] = {}
        self._watch(run_dir / "exits", "exits", _IN_CLOSE_WRITE | _IN_MOVED_TO)
        self._watch(run_dir, "busy", _IN_CREATE | _IN_DELETE)
        self._watch(state_dir, "state", _IN_CREATE)
        self.find_folders()

    def find_folders(self) -> None:
        """Watch the folders that others may make later; one that is watched already stays so."""
        self._watch(Path("/run/netns"), "links", _IN_CREATE | _IN_DELETE)
        self._watch(self._containers, "containers", _IN_CREATE | _IN_MOVED_TO)
        for folder in self._containers.iterdir() if self._containers.is_dir() else ():
            self._watch(folder, "files", _OF_CONTAINERS)

    def fileno(self) -> int:
        return int(self._fd)

    def hear(self, tell: Tell) -> None:
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return
        at = 0
        while at + _EVENT.size <= len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0").decode(errors="replace")
            at += _EVENT.size + length
            self._tell(watch, mask, name, tell)

    def _tell(self, watch: int, mask: int, name: str, tell: Tell) -> None:
        kind, folder = self._watched.get(watch, ("", Path()))
        if kind == "containers":
            self._watch(folder / name, "files", _OF_CONTAINERS)
        elif kind == "state":
            if name == self._containers.name:  # the first container's folder stands in it already, perhaps with an edit
                self.find_folders()
                tell("files", "")
        elif kind == "busy":
            if name == "busy":
                tell("busy", "")
        elif kind == "files":
            if name in _ETC_FILES:
                tell("files", "")
            elif name == "log" and mask & _IN_MOVED_TO:
                with suppress(FileNotFoundError):  # it was removed
                    share_log(self._folders, folder.name)
        elif kind:
            tell(kind, "")

    def _watch(self, folder: Path, kind: str, mask: int) -> None:
        if folder.is_dir():
            watch = _libc.inotify_add_watch(self._fd, os.fsencode(folder), mask)
            if watch >= 0:
                self._watched[watch] = (kind, folder)
