"""Signals by name: those of signal(7), and the real-time signals as they are named in images and by Docker (``SIGRTMIN+3``)."""

from __future__ import annotations

import signal

NUMBERS = {
    **{item.name: int(item) for item in signal.Signals},
    **{f"SIGRTMIN+{n}": signal.SIGRTMIN + n for n in range(1, 16)},
    **{f"SIGRTMAX-{n}": signal.SIGRTMAX - n for n in range(1, 15)},
}
"""Name -> number."""
