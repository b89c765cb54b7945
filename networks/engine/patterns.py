"""Patterns of names as clients send them, in time linear in both: Docker's are of RE2, while Python's ``re`` goes back and forth, for
minutes and with the whole process standing still where a client wants it to. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from .errors import EngineError

LONGEST = 512
"""Characters of a pattern."""
_CLASS = re.compile(r"\[\^?\]?[^\[\]\\]*\]")
_BEYOND = "(){}[]\\^$*+?|"
"""What has a meaning in RE2 and stands for itself only after a backslash."""


@dataclass(frozen=True, slots=True)
class _Atom:
    takes: Callable[[str], object]
    """Whether it is this character."""
    optional: bool = False
    repeated: bool = False


@dataclass(slots=True)
class _Branch:
    """One of the alternatives."""

    atoms: list[_Atom]
    begins: bool = False
    ends: bool = False

    def found(self, name: str) -> bool:
        """Whether it is anywhere in *name*: all places in it that may have been reached go along together, none is tried again."""
        end = len(self.atoms)
        places = self._skipping({0})
        for char in name:
            if end in places and not self.ends:
                return True
            taken = {place for place in places if place < end and self.atoms[place].takes(char)}
            places = {place + 1 for place in taken} | {place for place in taken if self.atoms[place].repeated}
            if not self.begins:
                places.add(0)
            places = self._skipping(places)
        return end in places

    def _skipping(self, places: set[int]) -> set[int]:
        for place, atom in enumerate(self.atoms):
            if place in places and atom.optional:
                places.add(place + 1)
        return places


class Pattern:
    """Characters, ``.``, ``[...]``, each with ``*``, ``+`` or ``?``, the anchors ``^`` and ``$``, and ``|`` between alternatives."""

    def __init__(self, text: str) -> None:
        """Raises EngineError 400 for anything else, groups and counts among it."""
        self._text = text
        self._place = 0
        self._branches = [_Branch([])]
        if len(text) > LONGEST:
            raise self._refused(f"it is longer than {LONGEST} characters")
        while self._place < len(text):
            self._read()

    def found(self, name: str) -> bool:
        return any(branch.found(name) for branch in self._branches)

    def _read(self) -> None:
        char = self._text[self._place]
        branch = self._branches[-1]
        if char == "|":
            self._branches.append(_Branch([]))
        elif branch.ends:
            raise self._refused("there is more after $")
        elif char == "^" and not branch.atoms and not branch.begins:
            branch.begins = True
        elif char == "$":
            branch.ends = True
        else:
            self._read_atom(branch)
            return
        self._place += 1

    def _read_atom(self, branch: _Branch) -> None:
        atom = _Atom(self._character())
        count = self._text[self._place : self._place + 1]
        if count and count in "*+?":
            self._place += 1
            if count == "+":
                branch.atoms.append(atom)
            atom = replace(atom, optional=True, repeated=count != "?")
        branch.atoms.append(atom)

    def _character(self) -> Callable[[str], object]:
        """What the next character of a name may be."""
        char = self._text[self._place]
        found = _CLASS.match(self._text, self._place)
        if found is not None:
            self._place = found.end()
            try:
                return re.compile(found[0]).match
            except re.error:
                raise self._refused(f"{found[0]} is no set of characters") from None
        escaped = self._text[self._place + 1 : self._place + 2]
        if char == "\\" and escaped and not escaped.isalnum():
            self._place += 2
            return escaped.__eq__
        if char in _BEYOND:
            raise self._refused(f"{char} is not supported there")
        self._place += 1
        return char.__eq__ if char != "." else "\n".__ne__

    def _refused(self, why: str) -> EngineError:
        return EngineError(400, f"invalid filter 'name={self._text[:LONGEST]}': {why}")


@lru_cache(maxsize=256)
def pattern(text: str) -> Pattern:
    """*text*, read once. Raises EngineError 400."""
    return Pattern(text)
