"""The product's processes: what each is started with, as whom, and what outlives a restart."""

from __future__ import annotations

from dataclasses import dataclass

from configuration import bind, configuration, has_console
from layout import CURRENT, RUN, USER


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple[str, ...]
    user: str = "root"
    outlives: bool = False
    """Whether it goes on over ``make restart``: containers' ports are held by it, or nothing of ours is in it."""
    description: str = ""
    becomes: str = ""
    """Whom it becomes once it has made what only root may make."""


def programs() -> tuple[Program, ...]:
    """All of them, in the order in which they start."""
    python = str(CURRENT / "venv/bin/python")
    address, port = bind()
    socket = ("--unixsocket", f"{RUN}/redis/redis.sock", "--unixsocketperm", "600", "--port", "0")
    redis = Program(
        "redis",
        ("/usr/bin/redis-server", *socket, "--save", "", "--appendonly", "no"),
        user=USER,
        outlives=True,
        description="messages between our processes",
    )
    uvicorn = ("--host", address, "--port", str(port), "--log-level", "warning", "--no-server-header")
    web = Program(
        "web",
        (python, "-m", "uvicorn", "cnmweb.asgi:application", *uvicorn),
        user=USER,
        description="console and REST API",
    )
    return (
        *([] if "CNM_REDIS_URL" in configuration() else [redis]),
        Program(
            "holder",
            (python, "-m", "worker.holder", "--socket", f"{RUN}/holder.sock"),
            outlives=True,
            description="holds published host ports",
        ),
        Program(
            "dns",
            (python, "-m", "worker.dns", "--socket", f"{RUN}/dns.sock"),
            description="answers the names of containers",
        ),
        Program(
            "kernel",
            (python, "-m", "worker", "kernel"),
            description="the one process that changes the kernel",
        ),
        Program(
            "slow",
            (python, "-m", "worker", "slow"),
            description="waits for processes and images",
        ),
        Program("sessions", (python, "-m", "worker.sessions"), description="holds terminals in containers"),
        Program(
            "engine",
            (python, "-m", "networks.engine", "--user", USER),
            becomes=USER,
            description="the Docker Engine API on docker.sock",
        ),
        Program("monitor", (python, "-m", "worker.monitor"), description="sees what others change"),
        *([web] if has_console() else []),
    )


def bootstrap() -> Program:
    """Not a process that stays: takes the settings into the database at each boot, before the others start."""
    command = (str(CURRENT / "venv/bin/python"), str(CURRENT / "manage.py"), "bootstrap")
    return Program("bootstrap", command, user=USER, description="settings of this host")
