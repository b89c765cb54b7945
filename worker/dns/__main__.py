"""``python -m worker.dns --socket PATH``"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import signal
from pathlib import Path

from worker.kernel.netns import Namespaces

from .control import serve
from .journal import Journal
from .opener import Opener


async def _run(path: Path, netns_dir: Path, user: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    opener = Opener(Namespaces(netns_dir), Journal(path.with_suffix(".journal")), user)
    opener.recover()
    await serve(path, opener, stop)


def main() -> None:
    parser = argparse.ArgumentParser(prog="worker.dns", description="Answers the names of this host's containers.")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--netns-dir", type=Path, default=Path("/run/netns"))
    parser.add_argument("--user", default="nobody", help="who answers; root only opens sockets")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    options = parser.parse_args()
    path: Path = options.socket
    path.unlink(missing_ok=True)  # one that a killed predecessor left
    path.with_suffix(".pid").write_text(str(os.getpid()))
    asyncio.run(_run(path, options.netns_dir, options.user))
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
