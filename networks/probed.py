"""What health checks found, written down: the only writer of ``Container.health``."""

from __future__ import annotations

from networks import feed
from networks.cnm.health import Health
from networks.composed import update
from networks.models import Container
from networks.models.choices import ContainerStatus, Wanted

ACTOR = "worker"


def to_probe(host_name: str) -> list[Container]:
    """The containers of a host that run and have a health check; one that stands still is not asked how it is."""
    rows = Container.objects.filter(
        host__name=host_name, has_health_check=True, status=ContainerStatus.RUNNING, wanted=Wanted.RUNNING
    ).only("generation", "restart_count", "paused_run", "status", "started_at", "spec", "health")
    return [row for row in rows if not row.paused]


def note(container_id: str, health: Health) -> bool:
    """Keep *health*, and tell of it where its status is another; whether that run is still the container's."""
    generation, _, restarts = health.run.partition(".")
    same = Container.objects.filter(pk=container_id, generation=int(generation), restart_count=int(restarts))
    kept = same.only("health").first()
    if kept is None:
        return False
    if Health.of(kept.health, health.run).status == health.status:
        return bool(same.update(health=health.to_json()))  # no event: a probe now and then is no news
    with feed.transaction(ACTOR):
        row = same.select_related("host").first()
        if row is None:
            return False
        row.health = health.to_json()
        update(row, "health")
        feed.put("container", row)
    return True
