"""A change of our table of nftables as nft's own document (libnftables-json(5)), to hold against what we send ourselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from worker.firewall.nft.change import Change
from worker.firewall.nft.expressions import FAMILIES
from worker.firewall.nft.lookups import Element
from worker.firewall.nft.table import NAME, Command


def document(changes: Iterable[Change]) -> str:
    """What ``nft -j -f -`` takes: all but the tables and the maps of two values, which nft 1.0.6 reads in :func:`beforehand` alone."""
    return json.dumps({"nftables": [one for change in changes for one in commands(change) if not _map_of_two(one)]})


def beforehand(changes: Iterable[Change]) -> str:
    """What ``nft -f -`` takes."""
    found = []
    for change in changes:
        table = f"table {FAMILIES[change.after.family]} {NAME} {{\n"
        for one in filter(None, map(_map_of_two, commands(change))):
            table += f"map {one['name']} {{ type {' . '.join(one['type'])} : {one['map']}\n counter\n}}\n"
        found.append(table + "}\n")
    return "".join(found)


def _map_of_two(command: Command) -> dict[str, Any] | None:
    made: dict[str, Any] | None = command.get("add", {}).get("map")
    return made


def commands(change: Change) -> Iterator[Command]:
    yield from (command for command, _ in change.commands)
    for item in change.elements:
        place = {"family": FAMILIES[change.after.family], "table": NAME, "name": item.name}
        if item.gone:
            yield {"delete": {"element": {**place, "elem": [_key(element) for element in item.gone]}}}
        if item.new:
            yield {"add": {"element": {**place, "elem": [_element(element) for element in item.new]}}}


def _key(element: Element) -> Any:
    return {"concat": list(element.key)} if len(element.key) > 1 else element.key[0]


def _element(element: Element) -> Any:
    made = {"elem": {"val": _key(element)} | ({"comment": element.comment} if element.comment else {})}
    return made if element.value is None else [made, {"concat": list(element.value)}]
