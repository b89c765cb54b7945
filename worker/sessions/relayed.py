"""Faces on other hosts reach this host's sessions, too: called by the Redis that all hosts share (:mod:`networks.relay`).

Each call is joined to our own Unix socket, where it has to show a ticket like everybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import subprocess
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from django.conf import settings
from redis.asyncio import Redis

from networks import relay
from networks.ending import end

from . import book

log = logging.getLogger("worker.sessions")

MOST = 256
"""Calls at a time."""
LISTEN_S = 15.0
"""How long this end may hear nothing, not even itself, before it listens anew."""
RETRY_S = 1.0
OPENSSL_TIMEOUT_S = 20


async def relaying(path: Path, host: str, run_dir: Path) -> None:
    """Join whoever calls *host* to the socket at *path*, until cancelled. A Redis that is away is waited for."""
    try:
        context, fingerprint = await asyncio.to_thread(_key, host, run_dir)
    except (OSError, subprocess.SubprocessError) as error:
        log.error("consoles on other hosts cannot reach this one: openssl made no key: %s", error)
        return
    told = False
    complaint = ""
    while True:
        try:
            if not told:
                await book.tell_fingerprint(fingerprint)
                told = True
            await _listen(path, host, context)
        except Exception as error:
            if str(error) != complaint:  # once, not at each try
                log.warning("nobody can call from another host now: %r", error)
            complaint = str(error)
        await asyncio.sleep(RETRY_S)


def may_be_called() -> bool:
    """Whether there can be other hosts: none reaches a Redis at a Unix socket, unless the settings say by which other way."""
    return not settings.REDIS_URL.startswith("unix:") or bool(settings.SHARED_REDIS_URL)


async def _listen(path: Path, host: str, context: ssl.SSLContext) -> None:
    async with contextlib.AsyncExitStack() as stack:
        redis = relay.connected()
        stack.push_async_callback(redis.aclose)
        ear = await relay.subscribed(redis, relay.calls(host))
        stack.push_async_callback(relay.let_go, ear)
        tasks = await stack.enter_async_context(_Tasks())
        tasks.add(_call_oneself(redis, host))
        while (message := await relay.heard(ear, LISTEN_S)) is not None:
            name = message.decode(errors="replace")
            if relay.NAME.match(name):
                if len(tasks) >= MOST:
                    log.warning("more than %s calls at a time: one was left", MOST)
                else:
                    tasks.add(_serve(redis, host, name, context, path))
    raise relay.Gone("Redis passes nothing on")


async def _call_oneself(redis: Redis, host: str) -> None:
    """A connection on which nothing comes looks like one that nobody uses: so something comes."""
    while True:
        await asyncio.sleep(relay.PING_S)
        await relay.published(redis, relay.calls(host), b"")


async def _serve(redis: Redis, host: str, name: str, context: ssl.SSLContext, path: Path) -> None:
    try:
        await relay.answer(redis, host, name, context, str(path))
    except (OSError, TimeoutError, ssl.SSLError) as error:
        log.info("a caller was left: %r", error)


class _Tasks(contextlib.AsyncExitStack):
    """Tasks that end with the block."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: set[asyncio.Task[None]] = set()
        self.push_async_callback(self._end)

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a call broke: %r", error)

    async def _end(self) -> None:
        await end(self._tasks)


def _key(host: str, run_dir: Path) -> tuple[ssl.SSLContext, str]:
    """A key that lives as long as this process, and the fingerprint of its certificate. Raises OSError, SubprocessError."""
    with tempfile.TemporaryDirectory(prefix="key-", dir=run_dir) as folder:  # 0700, on a tmpfs
        key, certificate = Path(folder) / "key.pem", Path(folder) / "certificate.pem"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        out = ["-days", "3650", "-subj", "/CN=cnm", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(
            ["openssl", "req", "-x509", *curve, *out], check=True, capture_output=True, timeout=OPENSSL_TIMEOUT_S
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0
        context.load_cert_chain(certificate, key)
        der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    return context, relay.fingerprint_of(der)
