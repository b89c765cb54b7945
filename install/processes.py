"""The product's processes: what each is started with, as whom, and what outlives a restart."""

from __future__ import annotations

from dataclasses import dataclass

from layout import CURRENT, RUN, USER, configuration, host_name

_CELERY = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING")


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple[str, ...]
    user: str = "root"
    outlives: bool = False
    """Whether it goes on over ``make restart``: containers' ports are held by it, or nothing of ours is in it."""
    description: str = ""


def programs() -> tuple[Program, ...]:
    """All of them, in the order in which they start."""
    python, host = str(CURRENT / "venv/bin/python"), host_name()
    address, _, port = configuration().get("CNM_BIND", "127.0.0.1:8000").rpartition(":")
    celery = (python, "-m", "celery", "-A", "cnmweb", "worker")
    redis = (
        "--unixsocket",
        f"{RUN}/redis/redis.sock",
        "--unixsocketperm",
        "600",
        "--port",
        "0",
        "--save",
        "",
        "--appendonly",
        "no",
    )
    own_redis = (
        ()
        if "CNM_REDIS_URL" in configuration()
        else (
            Program(
                "redis",
                ("redis-server", *redis),
                user=USER,
                outlives=True,
                description="messages between our processes",
            ),
        )
    )
    return (
        *own_redis,
        Program(
            "holder",
            (python, "-m", "worker.holder", "--socket", f"{RUN}/holder.sock"),
            outlives=True,
            description="holds published host ports",
        ),
        Program(
            "kernel",
            (*celery, "-P", "solo", "-Q", f"kernel.{host}", "-n", f"kernel@{host}", *_CELERY),
            description="the one process that changes the kernel",
        ),
        Program(
            "slow",
            (*celery, "-P", "threads", "-c", "8", "-Q", f"slow.{host}", "-n", f"slow@{host}", *_CELERY),
            description="waits for processes and images",
        ),
        Program("monitor", (python, "-m", "worker.monitor"), description="sees what others change"),
        Program(
            "web",
            (
                python,
                "-m",
                "uvicorn",
                "cnmweb.asgi:application",
                "--host",
                address,
                "--port",
                port,
                "--log-level",
                "warning",
                "--no-server-header",
            ),
            user=USER,
            description="console and REST API",
        ),
    )
