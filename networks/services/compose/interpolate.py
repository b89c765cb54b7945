"""Variables in a Compose file: ``$NAME``, ``${NAME:-default}`` and their kin, and files that give them values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from networks.cnm.text import gettext_noop

from ..body import bad
from .notes import Notes

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")
DEEPEST = 8
"""How deep a default may name variables with defaults."""
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*?)\s*\Z")


def interpolated(value: Any, variables: Mapping[str, str], notes: Notes, path: str = "") -> Any:
    """*value* with the variables in all of its texts filled in; keys are left as they are."""
    if isinstance(value, str):
        return _Text(value, variables, notes, path).filled()
    if isinstance(value, list):
        return [interpolated(item, variables, notes, f"{path}.{n}" if path else str(n)) for n, item in enumerate(value)]
    if isinstance(value, dict):
        return {k: interpolated(item, variables, notes, f"{path}.{k}" if path else k) for k, item in value.items()}
    return value


def read_variables(text: str) -> dict[str, str]:
    """The lines ``NAME=value`` of an ``.env`` file; comments and empty lines aside, quotes taken off."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise bad(
                "variables",
                gettext_noop("Line {number} of the variables is not NAME=value."),
                gettext_noop("Write one variable a line, such as TAG=1.2."),
                number=number,
            )
        found[match[1]] = _unquoted(match[2])
    return found


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return re.sub(r"\s+#.*\Z", "", text)


class _Text:
    """One text, gone through from left to right."""

    def __init__(self, text: str, variables: Mapping[str, str], notes: Notes, path: str, depth: int = 0) -> None:
        self._text, self._variables, self._notes, self._path, self._depth = text, variables, notes, path, depth

    def filled(self) -> str:
        result, at = [], 0
        while (dollar := self._text.find("$", at)) >= 0:
            result.append(self._text[at:dollar])
            after = self._text[dollar + 1 : dollar + 2]
            if after == "$":
                result.append("$")
                at = dollar + 2
            elif after == "{":
                end = self._closing(dollar + 2)
                result.append(self._expression(self._text[dollar + 2 : end]))
                at = end + 1
            elif name := _NAME.match(self._text, dollar + 1):
                result.append(self._value(name[0]))
                at = name.end()
            else:
                raise self._wrong()
        return "".join([*result, self._text[at:]])

    def _closing(self, start: int) -> int:
        depth = 1
        for at in range(start, len(self._text)):
            if self._text.startswith("${", at):
                depth += 1
            elif self._text[at] == "}":
                depth -= 1
                if not depth:
                    return at
        raise self._wrong()

    def _expression(self, inside: str) -> str:
        name = _NAME.match(inside)
        if name is None:
            raise self._wrong()
        rest = inside[name.end() :]
        operator = next((one for one in _OPERATORS if rest.startswith(one)), "")
        if rest and not operator:
            raise self._wrong()
        word = rest[len(operator) :]
        value = self._variables.get(name[0])
        given = bool(value) if operator.startswith(":") else value is not None
        kind = operator[-1:]
        if kind == "-":
            return value if given and value is not None else self._nested(word)
        if kind == "+":
            return self._nested(word) if given else ""
        if kind == "?":
            if given and value is not None:
                return value
            raise bad(
                self._path,
                gettext_noop("The variable {name} is missing: {reason}"),
                gettext_noop("Give {name} a value among the variables."),
                name=name[0],
                reason=self._nested(word) or gettext_noop("the file needs it."),
            )
        return self._value(name[0])

    def _nested(self, word: str) -> str:
        if self._depth >= DEEPEST:
            raise self._wrong()
        return _Text(word, self._variables, self._notes, self._path, self._depth + 1).filled()

    def _value(self, name: str) -> str:
        if name not in self._variables:
            self._notes.add(
                self._path,
                gettext_noop("The variable {name} has no value and no default: nothing stands in its place."),
                name=name,
            )
        return self._variables.get(name, "")

    def _wrong(self) -> Exception:
        return bad(
            self._path,
            gettext_noop("{text} cannot be filled in."),
            gettext_noop("Write $NAME, ${{NAME}} or ${{NAME:-default}}; a dollar sign itself is $$."),
            text=repr(self._text[:120]),
        )
