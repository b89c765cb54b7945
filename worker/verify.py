"""A prediction put to the test: a real packet from where it would be sent, and on nf_tables the kernel's own trace of it."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from networks import settle
from networks.cnm.errors import Unavailable, Unsupported
from networks.cnm.text import gettext_noop
from networks.models import Operation

from .firewall.flavour import NFTABLES
from .kernel.packet_trace import Traced, traced

TIMEOUT_S = 2.0
SOURCE_PORTS = (20000, 32000)
"""Below what programs are given, so that the traced packet is ours alone."""
NF_TABLES = frozenset({"iptables-nft", NFTABLES})
ROOM = Path(__file__).resolve().parent.parent


def verify(operation: Operation) -> None:
    """Send what the operation asks for and keep what came back: ``probe`` and ``kernel`` (None where nf_tables is not in use)."""
    args = operation.args
    number = random.randint(*SOURCE_PORTS)  # noqa: S311  # not a secret
    on_nf_tables = operation.host.firewall_backend in NF_TABLES
    with _traced(on_nf_tables, str(args["protocol"]), str(args["address"]), number) as found:
        answer = _send({**args, "source_port": number, "timeout_s": TIMEOUT_S})
    settle.end_only(operation, result={"probe": answer, "kernel": found.steps() if found is not None else None})


def look_up(operation: Operation) -> None:
    """Ask name servers from within a sandbox, as a program there would, and keep what they said."""
    args = operation.args
    task = {"sandbox": args["sandbox"], "protocol": "dns", "name": args["name"], "servers": args["servers"]}
    settle.end_only(operation, result=_send({**task, "timeout_s": TIMEOUT_S}))


@contextlib.contextmanager
def _traced(wanted: bool, protocol: str, address: str, number: int) -> Iterator[Traced | None]:
    if not wanted:
        yield None
        return
    try:
        with traced(protocol, address, number) as found:
            yield found
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        raise Unsupported(
            gettext_noop("The kernel's trace could not be switched on: {cause}"),
            remedy=gettext_noop("See that nft is installed and that this kernel has nf_tables."),
            cause=getattr(error, "stderr", "") or error,
        ) from error


def _send(task: Mapping[str, Any]) -> dict[str, Any]:
    """The probe is a process of its own: it enters the sandbox and never comes back."""
    done = subprocess.run(
        [sys.executable, "-m", "worker.kernel.probe"],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=6 * TIMEOUT_S + 10,  # a name: three servers, two families
        cwd=ROOM,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(
            gettext_noop("The probe could not be sent: {cause}"),
            remedy=gettext_noop("See that the container runs, then ask again."),
            cause=done.stderr.strip()[-300:] or done.returncode,
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
