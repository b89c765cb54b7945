"""Cheap signs that rules have changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.kernel.nft_watch import NftWatch, Table


class Generation:
    """The generation id of nf_tables in this network namespace: it grows by one with each transaction of anybody (16 µs)."""

    def __init__(self, tables: Collection[Table] = ()) -> None:
        self._tables = tables
        self._watch: NftWatch | None = None

    def read(self) -> int | None:
        """The id; None where the kernel has no nf_tables or does not tell."""
        try:
            return self._open().generation()
        except (OSError, ValueError):
            self.close()
            return None

    def untouched(self, since: int) -> int | None:
        """The id now, where nothing in our tables has changed since it was *since*; None where something may have."""
        try:
            return self._open().untouched(self._tables, since)
        except (OSError, ValueError):
            self.close()
            return None

    def writer(self) -> str:
        """Who else was heard to change our tables since this was asked last; empty where nobody was."""
        return ", ".join(self._watch.writers(self._tables)) if self._watch is not None else ""

    def strangers(self) -> str:
        """Who else was heard to change any table since this was asked last; empty where nobody was, or the kernel does not tell."""
        try:
            return ", ".join(self._open().strangers())
        except (OSError, ValueError):
            self.close()
            return ""

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Inside, we write ourselves: that is not listened to."""
        watch = self._watch
        if watch is None:
            yield
            return
        with watch.deaf():
            yield

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _open(self) -> NftWatch:
        if self._watch is None:
            self._watch = NftWatch()
        return self._watch


def legacy_tables(family: int) -> tuple[str, ...]:
    """The tables of the legacy kind that exist in this namespace. Asking for another one would make it."""
    path = Path("/proc/net/ip_tables_names" if family == 4 else "/proc/net/ip6_tables_names")
    try:
        return tuple(sorted(path.read_text().split()))
    except OSError:
        return ()
