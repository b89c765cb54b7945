"""``python -m worker.holder --socket PATH``"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import signal
from pathlib import Path

from .control import serve


async def _run(path: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(path, stop)


def main() -> None:
    parser = argparse.ArgumentParser(prog="worker.holder", description="Holds the published ports of this host.")
    parser.add_argument("--socket", type=Path, required=True)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    path = parser.parse_args().socket
    path.unlink(missing_ok=True)  # one that a killed predecessor left
    path.with_suffix(".pid").write_text(str(os.getpid()))
    asyncio.run(_run(path))
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
