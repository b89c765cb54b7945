"""Many objects in one request: one transaction, one operation, one firewall commit."""

from __future__ import annotations

from collections.abc import Sequence

from networks import feed
from networks.cnm.errors import Conflict, Forbidden, InvalidSpec, NotFound, Unsupported
from networks.models import Container, Host, Network

from .actor import Actor, require
from .lifecycle import prepare_start
from .networks import add_network
from .new_container import add_container
from .operations import check_alive, enqueue, record
from .outcome import Outcome
from .second_look import with_second_look
from .spec_container import ContainerRequest
from .spec_network import NetworkRequest


@with_second_look
def bulk(
    actor: Actor, host: Host, networks: Sequence[NetworkRequest], containers: Sequence[ContainerRequest]
) -> tuple[list[Network], list[Container], Outcome]:
    """Many networks and containers, all or nothing: one transaction, one operation, one firewall commit."""
    require(actor, "operator")
    check_alive(actor, host)
    made_networks, made_containers, warnings = [], [], []
    with feed.transaction(actor.name):
        for request in networks:
            made_networks.append(add_network(actor, host, request))
        for number, wanted in enumerate(containers):
            try:
                container, said = add_container(actor, host, wanted)
                if wanted.start:
                    prepare_start(container)
            except (InvalidSpec, Conflict, NotFound, Unsupported, Forbidden) as error:
                error.field = f"containers.{number}.{error.field}".rstrip(".")
                raise
            made_containers.append(container)
            warnings += said
        operation = enqueue(actor, host, "host.bulk", None, networks=made_networks, containers=made_containers)
        record(
            actor,
            "host.bulk",
            None,
            {"networks": [row.name for row in made_networks], "containers": [row.name for row in made_containers]},
            operation,
        )
    return made_networks, made_containers, Outcome(None, operation, tuple(warnings))
