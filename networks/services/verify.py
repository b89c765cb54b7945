"""Use case: put a trace to the test by a real packet."""

from __future__ import annotations

from typing import Any

from networks import feed
from networks.cnm.errors import Unsupported
from networks.cnm.names import sandbox_name
from networks.cnm.text import gettext_noop
from networks.cnm.trace.trace import ALLOWED, DROPPED, REJECTED
from networks.cnm.trace.walk import OUTSIDE
from networks.models import Host, Operation
from networks.models.choices import ContainerKind
from networks.tracing import Answer, Request, answer

from .actor import Actor, require
from .operations import check_alive, enqueue, record
from .outcome import Outcome

PROBED = ("tcp", "udp", "icmp")
ARRIVED = frozenset({"connected", "answered"})
NOT_HEARD = frozenset({"silence", "unreachable"})


def verify(actor: Actor, host: Host, request: Request) -> Outcome:
    """Have the worker send one packet as *request* asks, from the container or the host. Nobody sends for the outside."""
    require(actor, "operator")
    found = answer(host, request)
    if found.trace.question.source.kind == OUTSIDE or request.protocol not in PROBED or request.state != "new":
        raise Unsupported(
            gettext_noop(
                "A probe is sent from a container or from this host, by TCP, UDP or ICMP, and opens a connection."
            ),
            remedy=gettext_noop("Send one from outside with a program there."),
            field="from",
        )
    if found.source is not None and found.source.kind == ContainerKind.DOCKER:
        raise Unsupported(
            gettext_noop("No probe is sent from container {name}: its sandbox is a Docker Engine's."),
            remedy=gettext_noop("Send one to it, or use docker exec there."),
            field="from",
            name=found.source.name,
        )
    check_alive(actor, host)
    args = {
        "sandbox": _sandbox(found),
        "address": str(found.address),
        "protocol": request.protocol,
        "port": request.port,
        "from": request.source,
        "to": request.destination,
    }
    with feed.transaction(actor.name):
        operation = enqueue(actor, host, "trace.verify", None, queue="slow", args=args)
        record(actor, "trace.verify", None, args, operation)
    return Outcome(None, operation)


def _sandbox(found: Answer) -> str:
    container = found.source
    if container is None or container.network_mode == "host":
        return ""
    return sandbox_name(container.shares_id or container.pk)


def compared(found: Answer, operation: Operation) -> dict[str, Any]:
    """Prediction and truth side by side; ``agrees`` is None where what came back says nothing (UDP answers only if somebody does)."""
    result = operation.result or {}
    probe, kernel = result.get("probe") or {}, result.get("kernel")
    return {
        "predicted": found.trace.verdict,
        "reason": str(found.trace.reason),
        "answer": probe.get("answer", ""),
        "detail": probe.get("detail", ""),
        "ms": probe.get("ms"),
        "kernel": kernel,
        "agrees": agrees(found.trace.verdict, probe.get("answer", ""), found.request.protocol, kernel),
    }


def agrees(predicted: str, answer: str, protocol: str, kernel: list[dict[str, str]] | None) -> bool | None:
    """Whether what came back, or what the kernel told of the packet, is what was predicted."""
    dropped = any(step["verdict"] == "drop" for step in kernel or ())
    passed = any(step["verdict"] == "accept" for step in kernel or ()) and not dropped
    if predicted == ALLOWED:
        if answer in ARRIVED or (answer == "refused" and protocol == "tcp"):
            return True  # refused: it arrived, and nobody listens
        if protocol == "udp" and answer in {"silence", "refused"}:
            return False if dropped else True if passed else None
        return False
    if predicted == DROPPED:
        return answer in NOT_HEARD
    if predicted == REJECTED:
        return answer in {"refused", "unreachable"}
    return None
