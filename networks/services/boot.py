"""What follows from the product's start itself, as from the start of Docker's daemon."""

from __future__ import annotations

from networks import feed
from networks.cnm.errors import CnmError
from networks.models import Container, Host
from networks.models.choices import RestartPolicy, Wanted

from .actor import Actor
from .lifecycle import prepare_start
from .operations import enqueue, record
from .volumes import filled_first

ACTOR = Actor(name="bootstrap", role="admin", via="shell", queue_anyway=True)


def start_stopped(host: Host) -> tuple[list[Container], list[tuple[Container, CnmError]]]:
    """Start what a person stopped and whose restart policy is ``always``: the one thing in which it differs from ``unless-stopped``.

    Docker: "if it is manually stopped, it is restarted only when the daemon restarts". A container that was never started
    stays as it is, and so does everything on a host that is drained. Gives those that will start, and those that cannot, with the reason.
    """
    if host.drained:
        return [], []
    stopped = Container.objects.filter(
        host=host, wanted=Wanted.STOPPED, restart_policy=RestartPolicy.ALWAYS, generation__gt=0
    ).order_by("activation")
    started, refused = [], []
    for container in stopped:
        try:
            with feed.transaction(ACTOR.name):
                prepare_start(container)
                filled = filled_first([container])
                operation = enqueue(ACTOR, host, "container.start", container, containers=[container], **filled)
                record(ACTOR, "container.start", container, {"restart_policy": RestartPolicy.ALWAYS.value}, operation)
        except CnmError as error:
            refused.append((container, error))
        else:
            started.append(container)
    return started, refused
