"""The DNS server's two sockets of a sandbox."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from .zone import OWN_ADDRESS

BACKLOG = 128
RECEIVE_BUFFER = 1 << 20
"""Bytes of questions that wait while the resolver is busy, or is started again."""
_SO_RCVBUFFORCE = 33


def listen(ports: Any) -> tuple[socket.socket, socket.socket]:
    """The two sockets of a sandbox, in the namespace that we are in: on *ports*, where these are free, else on any."""
    udp_port, tcp_port = ports or (0, 0)
    udp = _bound(socket.SOCK_DGRAM, int(udp_port))
    try:
        with contextlib.suppress(OSError):  # a right that root may lack in a container
            udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
        tcp = _bound(socket.SOCK_STREAM, int(tcp_port))
    except BaseException:
        udp.close()
        raise
    return udp, tcp


def _bound(kind: int, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # our own former connections may rest there
        try:
            sock.bind((str(OWN_ADDRESS), port))
        except OSError:
            if not port:
                raise
            sock.bind((str(OWN_ADDRESS), 0))  # a program took it meanwhile: the rules are wrong until the next pass
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock
