"""The console's reducer against the server's own words: a snapshot and the changes since make the snapshot of now.

Histories are generated: use cases at random, cut into messages at random, told partly twice. What the page would hold afterwards is
compared with what a page that has just been opened would be given, object by object.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from networks import feed
from networks.cnm.errors import CnmError
from networks.models import Container, Event, Network
from networks.services import containers, networks
from networks.services.spec_container import AttachRequest
from tests.testlib.bottle import REPOSITORY
from tests.testlib.world import OPERATOR, World

HISTORIES, LENGTH = 6, 25
REDUCE = """
import { reduce } from "./static/src/live/reducer.ts";
import { graph, patch } from "./static/src/topology/graph.ts";
const told = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const results = told.map(({ start, messages }) => {
  let known = start, shown = graph(start.state, { emptyPredefined: true, stopped: true });
  for (const message of messages) {
    const before = known.n;
    known = reduce(known, message);
    if (!known) throw new Error("a change is missing");
    const news = message.events.filter((change) => change.n > before);
    const wishes = { emptyPredefined: true, stopped: true };
    if (!news.every((change) => patch(shown, change, wishes))) shown = graph(known.state, wishes);
  }
  const anew = graph(known.state, { emptyPredefined: true, stopped: true });
  const plain = (one) => [...one.nodes.values()].map(({ id, name, state, parent, detail }) => [id, name, state, parent, detail]).sort();
  return { n: known.n, state: known.state, patched: JSON.stringify(plain(shown)) === JSON.stringify(plain(anew)) };
});
process.stdout.write(JSON.stringify(results));
"""


def some_history(world: World, dice: random.Random) -> None:
    """Use cases at random; one that is refused is none."""

    def container() -> Container:
        return dice.choice(list(Container.objects.exclude(wanted="removed")))

    def network() -> Network:
        return dice.choice(list(Network.objects.filter(driver="bridge", removing=False)))

    def make() -> None:
        number = dice.randrange(10**6)
        spec = {"network": network().name, "ports": [f"{10_000 + number % 20_000}:80"], "labels": {"n": str(number)}}
        world.container(f"c{number}", **spec)

    deeds: list[Callable[[], object]] = [
        make,
        lambda: world.network(f"n{dice.randrange(10**6)}"),
        lambda: containers.stop_container(OPERATOR, container()),
        lambda: containers.start_container(OPERATOR, container()),
        lambda: containers.remove_container(OPERATOR, container(), force=True),
        lambda: world.ends(container(), dice.randrange(3)),
        lambda: networks.connect(OPERATOR, network(), container(), AttachRequest()),
        lambda: networks.disconnect(OPERATOR, network(), container()),
        lambda: networks.delete_network(OPERATOR, network()),
        lambda: containers.rename_container(OPERATOR, container(), f"r{dice.randrange(10**6)}"),
    ]
    with suppress(CnmError, IndexError):
        dice.choice(deeds)()
    if dice.random() < 0.8:
        world.work()


def cut(events: list[dict[str, Any]], epoch: str, dice: random.Random) -> list[dict[str, Any]]:
    """Messages of a few events each; some begin again with what was told already."""
    messages, at = [], 0
    while at < len(events):
        end = at + dice.randint(1, 7)
        begin = max(0, at - dice.choice((0, 0, 0, 3)))
        messages.append({"type": "events", "epoch": epoch, "events": events[begin:end]})
        at = end
    return messages


def reduced(histories: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """What the console's own code makes of them."""
    script = folder / "reduce.cjs"
    build = [
        "node_modules/.bin/esbuild",
        "--bundle",
        "--platform=node",
        "--format=cjs",
        "--loader=ts",
        f"--outfile={script}",
    ]
    subprocess.run(build, input=REDUCE, text=True, cwd=REPOSITORY, check=True, capture_output=True, timeout=60)
    done = subprocess.run(
        ["node", str(script)], input=json.dumps(histories), text=True, check=True, capture_output=True, timeout=60
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_snapshot_and_the_changes_since_are_the_snapshot_of_now(world: World, seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    world.network("first")
    world.container("one", network="first")
    start = feed.snapshot()
    for _ in range(LENGTH):
        some_history(world, dice)
    events = feed.since(start["n"], start["epoch"])
    assert events
    end = feed.snapshot()
    plain = json.loads(json.dumps({"start": start, "messages": cut(events, start["epoch"], dice)}))
    (got,) = reduced([plain], tmp_path)
    assert got["n"] == end["n"] == Event.objects.last().number  # type: ignore[union-attr]
    assert got["patched"], "changes that are patched into the picture leave the one that building it anew gives"
    wanted = json.loads(json.dumps(end["state"]))
    for kind in ("host", "network", "container", "image", "foreign"):
        assert got["state"].get(kind, {}) == wanted.get(kind, {}), kind
    for kind in ("operation", "activity"):  # a snapshot holds the last of these, a page all that it heard of
        assert wanted[kind].items() <= got["state"][kind].items(), kind
