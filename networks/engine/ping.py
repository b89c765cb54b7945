"""``python -m networks.engine.ping``: whether the Docker API answers on its socket; for supervisors. Needs no Django."""

from __future__ import annotations

import os
import socket
import sys

PATIENCE_S = 3.0


def answers(path: str) -> bool:
    """Whether ``/_ping`` on the socket at *path* is answered with OK."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(PATIENCE_S)
            channel.connect(path)
            channel.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
            return channel.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if answers(f"{os.environ.get('CNM_RUN_DIR', '/run/cnm')}/docker.sock") else 1)
