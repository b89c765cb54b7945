"""The monitor's one loop over all sources, which is the kernel worker's clock too."""

from __future__ import annotations

import selectors
import time
from contextlib import suppress

from networks.wake import send
from worker.notices import NOTICES, NoticeBox
from worker.runtime.folders import Folders

from .listeners import ListenerSource
from .news import News
from .sources import FileSource, HolderSource, LegacySource, LinkSource, NftSource, SysctlSource, XfrmSource

CLOCK_S = 5.0
FULL_S = 60.0
GLANCE_S = 0.5
"""How often the cheap signs of what nothing tells are looked at: a change shows in a page within a second."""
LEGACY_S = 2.0
AGAIN_S = 5.0
"""How often the kernel process is told of news that it has not taken: it is busy, or the message was lost."""
RETRY_S = 1.0
"""How soon it is tried again when no message could be sent."""
HOLDER_S = 0.25
"""How often a port holder that is away is looked for."""


class Monitor:
    """One loop over all sources."""

    def __init__(self, host: str, folders: Folders) -> None:
        run_dir = folders.run_dir
        self._host = host
        self._busy = run_dir / "busy"
        self._news = News()
        self._box = NoticeBox(run_dir / NOTICES)
        self._legacy = LegacySource()
        self._sysctls = SysctlSource(run_dir / "ledger")
        self._holder = HolderSource(run_dir / "holder.sock")
        self._listeners = ListenerSource(self._holder.held)
        self._selector = selectors.DefaultSelector()
        self._files = FileSource(folders)
        sources: list[LinkSource | NftSource | XfrmSource | FileSource] = [LinkSource(), NftSource(), self._files]
        with suppress(OSError):  # a kernel without IPsec
            sources.append(XfrmSource())
        for source in sources:
            self._selector.register(source, selectors.EVENT_READ, source)
        now = time.monotonic()
        self._next = {
            "clock": 0.0,
            "full": now + FULL_S,
            "legacy": now + LEGACY_S,
            "glance": now + GLANCE_S,
            "holder": 0.0,
            "call": 0.0,
        }

    def run(self) -> None:
        while True:
            now = time.monotonic()
            wait = min(min(self._next.values()) - now, self._news.wait_s(now))
            for key, _ in self._selector.select(max(wait, 0.0)):
                if self._busy.exists():
                    self._news.ours(time.monotonic())
                if key.data is self._holder:
                    self._hear_holder()
                else:
                    key.data.hear(self._tell)
            self._tick(time.monotonic())
            self._send(time.monotonic())

    def _tell(self, kind: str, writer: str) -> None:
        now = time.monotonic()
        if kind == "busy":
            self._news.ours(now)
        else:
            self._news.saw(kind, now, writer)

    def _hear_holder(self) -> None:
        if self._holder.lost():
            self._selector.unregister(self._holder)
            self._holder.forget()
            self._next["holder"] = 0.0

    def _find_holder(self, now: float) -> None:
        if now < self._next["holder"]:
            return
        self._next["holder"] = now + HOLDER_S
        if self._holder.find(self._tell):
            self._selector.register(self._holder, selectors.EVENT_READ, self._holder)
        if self._holder.fileno() >= 0:
            self._next["holder"] = float("inf")

    def _tick(self, now: float) -> None:
        self._find_holder(now)
        for name, every in (("clock", CLOCK_S), ("full", FULL_S), ("legacy", LEGACY_S), ("glance", GLANCE_S)):
            if now >= self._next[name]:
                self._next[name] = now + every
                if name == "legacy":
                    self._legacy.poll(self._tell)
                elif name == "glance":
                    self._glance()
                else:
                    self._files.find_folders()
                    self._news.saw(name, now)

    def _glance(self) -> None:
        if self._busy.exists():
            self._news.ours(time.monotonic())
        self._legacy.glance(self._tell)
        self._sysctls.glance(self._tell)
        self._listeners.glance(self._tell)

    def _send(self, now: float) -> None:
        """Put what is due into the box, and see to it that the kernel process knows of it: one message until it was taken."""
        notice = self._news.due(now)
        if notice is not None and self._box.put(notice.what, notice.writer):
            self._next["call"] = now
        if now < self._next["call"]:
            return
        if self._box.is_empty():
            self._next["call"] = float("inf")
        else:
            self._next["call"] = now + (AGAIN_S if self._call() else RETRY_S)

    def _call(self) -> bool:
        return send("worker.tasks.notice", self._host, "kernel", {})
