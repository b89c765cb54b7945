"""The end of what a session printed, for those who come back. Pure."""

from __future__ import annotations

KEPT = 256 << 10
"""Bytes."""


class Scrollback:
    """Remembers the last bytes, and counts all of them: a place in the output is the number of bytes before it."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._data = bytearray()
        self.total = 0
        """Bytes printed so far."""

    def add(self, data: bytes) -> None:
        self._data += data
        self.total += len(data)
        if len(self._data) > 2 * self._kept:  # not at each addition: moving it costs as much as it is long
            del self._data[: -self._kept]

    def since(self, place: int) -> tuple[int, bytes]:
        """What was printed after *place*, as (where it begins, bytes).

        Where that is no longer known, or *place* was never reached: everything that is kept, from the beginning of a line if it is cut.
        """
        begins = self.total - len(self._data)
        if begins <= place <= self.total:
            return place, bytes(self._data[place - begins :])
        kept = bytes(self._data[-self._kept :])
        if len(kept) < self.total:
            kept = kept[kept.find(b"\n") + 1 :]
        return self.total - len(kept), kept
