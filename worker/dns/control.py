"""What the worker may ask the opener: one JSON object a line, one line as the answer.

    {"serve": [sandbox, …], "names": [name, …], "stop": ["cnm-…", …], "forget": [[network, endpoint], …]}
    → {"ok": true, "ports": {"cnm-…": [udp, tcp]}} with the ports of sandboxes that were not served before
    → {"ok": false, "code": "malformed" | "refused", …}
    {"about": {"sandboxes": [...], "names": [[network, endpoint], ...]}}  → {"ok": true, "serve": [...], "names": [...]}
    {}                                                                    → the same, of everything

A sandbox and a name have the forms of :mod:`worker.dns.zone`. A request is carried out whole or not at all.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

from worker.root_socket import answering

from .opener import Change, Opener

LONGEST_REQUEST = 64 * 2**20


async def serve(path: Path, opener: Opener, stop: asyncio.Event) -> None:
    """Answer root on *path* until *stop*."""
    async with answering(path, partial(_answer, opener), LONGEST_REQUEST):
        await opener.run(stop)


async def _answer(opener: Opener, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        if not request.keys() & {"serve", "names", "stop", "forget"}:
            return opener.describe(request.get("about"))
        change = Change.of(request)
    except (ValueError, TypeError, KeyError, AttributeError):
        return {"ok": False, "code": "malformed"}
    return await opener.obey(change)
