"""``python -m networks.engine [--user NAME]``: the Docker Engine API on ``docker.sock`` and, by settings, on TCP with client certificates;
and, by another setting, a plugin of a real Docker Engine (``networks.docker_plugin``).

It may start as root, because the socket stands in a folder of root's and the key of its certificate is root's to read. With ``--user`` it
becomes that user, without any way back, before it takes the first connection.
"""

from __future__ import annotations

import argparse
import asyncio
import grp
import logging
import os
import pwd
import resource
import signal
from contextlib import suppress
from pathlib import Path

import django

from cnmweb.loading import loading


def main() -> None:
    parser = argparse.ArgumentParser(prog="networks.engine", description="The Docker Engine API.")
    parser.add_argument("--user", default="", help="whom to become once the sockets are made")
    user = parser.parse_args().user
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with loading():
        django.setup()
        from django.conf import settings

        from .server import Servers, bind_plugin, bind_tcp, bind_unix
        from .tls import server_context

    group = _group(settings.DOCKER_GROUP)
    unix = bind_unix(Path(settings.RUN_DIR) / "docker.sock", group)
    tcp = tls = None
    if settings.DOCKER_TCP:
        tls = server_context(*map(Path, (settings.DOCKER_TLS_CERT, settings.DOCKER_TLS_KEY, settings.DOCKER_TLS_CA)))
        tcp = bind_tcp(*settings.DOCKER_TCP)
    plugin = Path(settings.DOCKER_PLUGIN) if settings.DOCKER_PLUGIN else None
    offered = bind_plugin(plugin, pwd.getpwnam(user).pw_uid if user else 0) if plugin else None
    if user:
        become(user)
    servers = Servers(group, settings.DOCKER_ROLE, settings.DOCKER_TCP_ROLE)

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await servers.run(unix, tcp, tls, offered, stop)

    asyncio.run(run())
    if plugin:
        with suppress(OSError):
            plugin.unlink()
    os._exit(0)  # threads of the pool may wait for an operation for minutes; each of their writes is a transaction


def become(name: str) -> None:
    """Be *name* from now on: its groups alone, and no capability."""
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam(name)
    os.initgroups(name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _group(name: str) -> int:
    """The group that may open the socket; root's alone where it does not exist, as on a machine without our user."""
    with suppress(KeyError):
        return grp.getgrnam(name).gr_gid
    logging.getLogger("networks.engine").warning("there is no group %s: root alone is answered", name)
    return 0


if __name__ == "__main__":
    main()
