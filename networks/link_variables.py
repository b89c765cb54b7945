"""The variables that links gave a container at its start, against what a start would give it now."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from networks.load import is_live, load_facts, load_host
from networks.models import Container
from worker.compile.links import link_environment
from worker.drivers import Surroundings


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that a link gives to its recipient."""

    name: str
    at_start: str | None
    """What the process has; None: nothing, for it came up since."""
    now: str | None
    """What a start would give it; None: nothing, for its link or port is gone, or its source does not run."""

    @property
    def stale(self) -> bool:
        return self.at_start != self.now

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"stale": self.stale}


def link_variables(row: Container) -> list[Variable]:
    """By name. Empty for a container that does not run, and for one that never had a link."""
    if not is_live(row) or not (row.link_env or row.links.exists()):
        return []
    around = Surroundings(load_host(row.host), load_facts(row.host))
    container = around.containers.get(row.pk)
    now = dict(link_environment(container, around)) if container is not None else {}
    return [Variable(name, row.link_env.get(name), now.get(name)) for name in sorted({*row.link_env, *now})]
