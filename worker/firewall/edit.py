"""The edit that takes one chain to where it should be, around what others wrote into it. Pure.

Foreign rules are never moved or removed; ours end up in the order of their ranks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from networks.cnm.rules import Rank


@dataclass(frozen=True, slots=True)
class Put:
    """A rule that should stand in the chain, once, by its rank."""

    text: str
    rank: Rank
    anchor: str = "end"


@dataclass(frozen=True, slots=True)
class Edit:
    """What to do to a chain: lines for iptables-restore, and the chain's lines afterwards."""

    commands: tuple[str, ...]
    lines: tuple[str, ...]


def edit_chain(
    chain: str, lines: Sequence[str], ranks: Mapping[str, Rank], puts: Collection[Put], drops: Collection[str]
) -> Edit:
    """Take *chain*, which holds *lines*, to hold each of *puts* once in its place and none of *drops*.

    *ranks* are the ranks of the rules of ours that are there already. Rules of ours that stand out of order and are not among *puts*
    are left where they are, and nothing is placed by them.
    """
    ranks = {**ranks, **{put.text: put.rank for put in puts}}
    copies = Counter(lines)
    placed = in_order([(ranks[text], text) for text in lines if ranks.get(text) and text not in drops])
    moving = [put for put in puts if copies[put.text] != 1 or put.text not in placed]
    gone = set(drops) | {put.text for put in moving}
    commands = [f"-D {text[3:]}" for text in lines if text in gone]
    kept = [text for text in lines if text not in gone] if commands else list(lines)
    standing = placed - gone
    inserted, merged = _insert(chain, kept, ranks, standing, sorted(moving, key=lambda put: (put.rank, put.text)))
    return Edit((*commands, *inserted), merged)


def in_order(sequence: Sequence[tuple[Rank, str]]) -> set[str]:
    """The texts of a longest part of *sequence* whose ranks rise: what needs no moving.

    Of a text that occurs more than once, one place at most counts.
    """
    tails: list[tuple[Rank, str]] = []
    ends: list[int] = []
    before: list[int] = []
    for at, item in enumerate(sequence):
        length = bisect_left(tails, item)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(item)
            ends.append(at)
        else:
            tails[length] = item
            ends[length] = at
    found = set()
    at = ends[-1] if ends else -1
    while at >= 0:
        found.add(sequence[at][1])
        at = before[at]
    return found


def _insert(
    chain: str, kept: list[str], ranks: Mapping[str, Rank], standing: set[str], moving: Sequence[Put]
) -> tuple[list[str], tuple[str, ...]]:
    """The commands that insert *moving* (by rank) into *kept*, and the chain with them.

    A gap is a position in *kept*. ``top`` takes the gap right below our rule before, ``end`` the one right above our rule after.
    """
    if not moving:
        return [], tuple(kept)
    positions = [at for at, text in enumerate(kept) if text in standing]
    standing_ranks = [(ranks[kept[at]], kept[at]) for at in positions]
    commands: list[str] = []
    merged: list[str] = []
    gap = 0
    for number, put in enumerate(moving):
        index = bisect_left(standing_ranks, (put.rank, put.text))
        if put.anchor == "top":
            wanted = positions[index - 1] + 1 if index else 0
        else:
            wanted = positions[index] if index < len(positions) else len(kept)
        wanted = max(gap, wanted)
        merged += kept[gap:wanted]
        merged.append(put.text)
        gap = wanted
        rule = put.text[3:]
        if wanted == len(kept):
            commands.append(f"-A {rule}")
        else:
            commands.append(f"-I {chain} {wanted + number + 1}{rule[len(chain) :]}")
    return commands, (*merged, *kept[gap:])
