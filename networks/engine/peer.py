"""Who speaks: the credentials that the kernel tells of a Unix socket's other end, or the certificate of a TLS connection."""

from __future__ import annotations

import contextlib
import pwd
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CREDENTIALS = struct.Struct("3i")
"""pid, uid and gid of the caller (unix(7), ``SO_PEERCRED``)."""
_PEER_GROUPS = 59
"""``SO_PEERGROUPS``, which Python does not name; asm-generic/socket.h, since Linux 4.13."""
_MOST_GROUPS = 256
"""As many as Python asks for (1024 bytes); of somebody who is in more, only the first group counts."""
_GID = struct.Struct("I")


@dataclass(frozen=True, slots=True)
class Peer:
    """A caller by name, and what it may do."""

    name: str
    role: str


def of_unix(connection: socket.socket, group: int, role: str) -> Peer | None:
    """Root is an admin, a member of *group* has *role*; None: anybody else, who gets no answer."""
    _, uid, gid = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    if uid == 0:
        return Peer(_name_of(uid), "admin")
    return Peer(_name_of(uid), role) if group in {gid, *_further_groups(connection)} else None


def of_certificate(certificate: Mapping[str, Any] | None, role: str) -> Peer | None:
    """The common name of a client's certificate, which was checked before this is asked; None: it has none."""
    subject = dict(pair for part in (certificate or {}).get("subject", ()) for pair in part)
    name = str(subject.get("commonName", ""))[:100]
    return Peer(f"{name} (certificate)", role) if name else None


def _name_of(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"uid {uid}"


def _further_groups(connection: socket.socket) -> set[int]:
    try:
        found = connection.getsockopt(socket.SOL_SOCKET, _PEER_GROUPS, _MOST_GROUPS * _GID.size)
    except OSError:
        return set()
    return {gid for (gid,) in _GID.iter_unpack(found)}
