"""Taking operations from the queue of truth, in order, once."""

from __future__ import annotations

from django.utils import timezone

from networks.composed import composed, update_if
from networks.models import Host, Operation
from networks.models.choices import OperationState

_waiting = composed(
    lambda host, queue: Operation.objects.filter(host=host, queue=queue, state=OperationState.PENDING).order_by(
        "number"
    )[:1]
)


def claim_next(host: Host, queue: str) -> Operation | None:
    """The oldest pending operation of *host* in *queue*, now running and ours; None: nothing waits.

    The claim is an update under the condition that the row is still pending, so two workers, or a doubled message,
    cannot both have it.
    """
    while True:
        found = _waiting.first(host.pk, queue)
        if found is None:
            return None
        found.state, found.started_at, found.attempts = OperationState.RUNNING, timezone.now(), found.attempts + 1
        if update_if(found, "state", "started_at", "attempts", state=OperationState.PENDING, queue=queue):
            found.host = host
            return found


def is_waiting(host: Host, queue: str) -> bool:
    """Whether an operation of *host* waits in *queue*."""
    return bool(_waiting(host.pk, queue))


def requeue_interrupted(host: Host, queue: str) -> int:
    """Put back what a worker that died had taken; how many. Safe because applying twice changes nothing; what is done anew each
    time (``worker.slow.ONCE``) was ended before.

    Only for the start of the single worker of a queue, which holds that queue's lock.
    """
    return Operation.objects.filter(host=host, queue=queue, state=OperationState.RUNNING).update(
        state=OperationState.PENDING, started_at=None, done_steps=0
    )


def pass_on(operation: Operation, queue: str) -> None:
    """Hand a claimed operation to the other queue, where it waits in its old place."""
    operation.queue = queue
    operation.state = OperationState.PENDING
    operation.save(update_fields=["queue", "state"])
