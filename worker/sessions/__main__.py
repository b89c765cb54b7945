"""``python -m worker.sessions``"""

from __future__ import annotations

import asyncio
import logging
import os
import resource

import django

from cnmweb.loading import loading


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    os.umask(0o022)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with loading():
        django.setup()
        from networks.exec_client import socket_path

        from .run import run

    path = socket_path()
    path.unlink(missing_ok=True)  # one that a killed predecessor left
    asyncio.run(run(path))
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
