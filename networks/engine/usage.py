"""How much containers and images take on disk: ``/system/df``, and the sizes that lists and ``inspect`` are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from networks.cnm import frames
from networks.cnm.errors import from_json
from networks.models import Container, Host
from networks.services.actor import Actor
from networks.services.files import measure_files

from .errors import EngineError, translated
from .raw import Held
from .threads import in_thread

BROKEN_OFF = "the process that measures ended before it was through"


@dataclass(frozen=True, slots=True)
class Sizes:
    """A handler goes on when it is known how much *container*, or every container of *host*, wrote: id -> bytes."""

    actor: Actor
    host: Host
    container: Container | None = None

    async def wait(self) -> Mapping[str, int]:
        """Raises EngineError, Unavailable."""
        held = await Held.open(await in_thread(measure_files, self.actor, self.host, self.container))
        said = b""
        try:
            async for item in held.heard():
                if item.kind == frames.STDOUT:
                    said += item.data
                    continue
                state = item.json() if item.kind == frames.STATE else {}
                if state.get("state") == "refused":
                    raise translated(from_json(state["error"]))
                if state.get("state") == "ended":
                    found: dict[str, int] = json.loads(said)
                    return found
        finally:
            await held.close()
        raise EngineError(500, BROKEN_OFF)


def sizes_of(row: Container, sizes: Mapping[str, int], image: int) -> dict[str, Any]:
    """The fields of a container that was asked for its sizes. *image*: bytes of its image."""
    written = sizes.get(row.pk, 0)
    return {**({"SizeRw": written} if written else {}), "SizeRootFs": image + written}
