"""Hosts tell one another, by the database, what changed on the networks that they share.

A container that comes, goes or moves changes what other hosts need: where its frames go, who answers for its address, and its names. An
operation of each of those hosts brings it there. One is enough for all that came before it is claimed, so a host that is cut off finds
one when it is back, however much happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from django.db import transaction

from . import feed
from .composed import composed
from .models import Endpoint, Host, Operation
from .models.choices import OperationState, Wanted
from .models.network import GLOBAL
from .wake import wake

VERB = "network.peers"
ACTOR = "worker"


_shared_by = composed(
    lambda containers: (
        Endpoint.objects.filter(container__pk__in=containers, network__scope=GLOBAL)
        .order_by()
        .values_list("network_id", flat=True)
    )
)


def shared_by(containers: Collection[str]) -> set[str]:
    """The networks (ids) that span hosts and that *containers* (ids) are on, or are just leaving."""
    return set(_shared_by(list(containers)))


def shared_on(host: Host) -> set[str]:
    """The networks (ids) that span hosts and that containers of *host* are on."""
    rows = Endpoint.objects.filter(container__host=host, network__scope=GLOBAL)
    return set(rows.order_by().values_list("network_id", flat=True))


def tell_others(host: Host, networks: Iterable[str], *, changed: bool = False) -> None:
    """Have every other host with live containers on *networks* (ids) learn what changed on *host*. Inside ``feed.transaction``.

    *changed*: the networks themselves did.
    """
    wanted = set(networks)
    if not wanted:
        return
    rows = Endpoint.objects.filter(network__in=wanted, container__wanted=Wanted.RUNNING).exclude(container__host=host)
    concerned: dict[int, set[str]] = defaultdict(set)
    for host_id, network_id in rows.order_by().values_list("container__host_id", "network_id").distinct():
        concerned[host_id].add(network_id)
    for other in Host.objects.filter(pk__in=concerned) if concerned else ():
        tell(other, "networks" if changed else "peers", concerned[other.pk])


def tell(host: Host, part: str, networks: set[str]) -> None:
    """Have *host* look again at *networks* (ids), of which the *part* ``peers`` or ``networks`` changed. Inside ``feed.transaction``."""
    if not networks:
        return
    waiting = Operation.objects.filter(host=host, verb=VERB, state=OperationState.PENDING).first()
    if waiting is None:
        waiting = Operation.objects.create(
            number=Operation.objects.next_number(),
            host=host,
            verb=VERB,
            scope={"networks": [], "containers": [], "peers": [], part: sorted(networks)},
            created_by=ACTOR,
        )
        feed.put("operation", waiting)
    elif not networks <= set(waiting.scope[part]):
        waiting.scope[part] = sorted(networks | set(waiting.scope[part]))
        waiting.save(update_fields=["scope"])
    transaction.on_commit(lambda: wake(host, "kernel"))
