"""YAML as people write it, read into plain values with the line of each; and plain values written so.

Only the core schema of YAML 1.2 is read: ``on`` and ``22:22`` are text, and nothing is an object of a program. Aliases and merge keys
(``<<``) are followed, but every value counts each time it is named, so a few lines cannot become a billion values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from networks.cnm.errors import InvalidSpec
from networks.cnm.text import gettext_noop

MOST_BYTES = 2 * 2**20
MOST_VALUES = 100_000
DEEPEST = 32
_MERGE = "<<"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INT = re.compile(r"[-+]?[0-9]{1,30}\Z", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]{1,30}\Z", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]{1,30}\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?\Z", re.ASCII)
_TAG = "tag:yaml.org,2002:"
_PLAIN = "tag:cnm:plain"
"""Of a word that stands without quotes and without a tag."""
_KNOWN_TAGS = frozenset({_PLAIN, *(_TAG + kind for kind in ("str", "int", "float", "bool", "null", "seq", "map"))})


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and where: path (``containers.web.ports.0``) -> line, from 1."""

    value: Any
    lines: Mapping[str, int] = field(default_factory=dict)

    def line_of(self, path: str) -> int:
        """The line of *path*, or of the nearest thing around it that the file has; 0: none."""
        while path not in self.lines and path:
            path = path.rpartition(".")[0]
        return self.lines.get(path, 0)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # one of the two, decided at build time
    """Makes nodes; what a scalar is, is decided here and not by YAML 1.1."""


_Loader.yaml_implicit_resolvers = {None: [(_PLAIN, re.compile("", re.DOTALL))]}


class _Dumper(yaml.SafeDumper):
    """Writes no aliases: each value stands where it counts."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Text of several lines as a block, as a person would write it."""
    return dumper.represent_scalar(f"{_TAG}str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def read_yaml(text: str) -> Document:
    """The one document in *text*. Raises :class:`InvalidSpec` with the line (``facts["line"]``)."""
    if len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        raise InvalidSpec(
            gettext_noop("The file is larger than {most} MiB."),
            remedy=gettext_noop("Cut it into several files."),
            most=MOST_BYTES // 2**20,
        )
    loader = None
    try:
        _check_depth(text)
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _not_yaml(error.problem or str(error), mark.line + 1 if mark else 0) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _not_yaml(" ".join(str(error).split())[:200] or type(error).__name__, 0) from None
    finally:
        if loader is not None:
            loader.dispose()
    if node is None:
        return Document({})
    reader = _Reader()
    return Document(reader.value(node, "", 0), reader.lines)


def write_yaml(value: Any) -> str:
    """*value* (mappings, lists, text, numbers) as YAML that every parser reads alike; the order is kept."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))


def _check_depth(text: str) -> None:
    """Refuse what is too much before nodes are made: they are made by a recursion in C, which a deep nesting lets end the process."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if count > 2 * MOST_VALUES:
            raise _too_much("", _line(event))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise _too_much("", _line(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _too_much(path: str, line: int) -> InvalidSpec:
    return _refused(
        path,
        line,
        gettext_noop("The file says more than {most} things, or is nested deeper than {deepest} levels."),
        gettext_noop("Cut it into several files; an alias counts each time it is used."),
        most=MOST_VALUES,
        deepest=DEEPEST,
    )


def _not_yaml(problem: str, line: int) -> InvalidSpec:
    return InvalidSpec(
        gettext_noop("This is no YAML: {problem}, in line {line}.")
        if line
        else gettext_noop("This is no YAML: {problem}."),
        remedy=gettext_noop("Correct it there; indentation is made of blanks."),
        problem=problem,
        line=line,
        facts={"line": line} if line else {},
    )


class _Reader:
    """Makes values of nodes, and counts."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self._count = 0

    def value(self, node: yaml.Node, path: str, depth: int) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._count += 1
        if self._count > MOST_VALUES or depth > DEEPEST:
            raise _too_much(path, line)
        if node.tag not in _KNOWN_TAGS:
            raise _refused(
                path,
                line,
                gettext_noop("The tag {tag} is not known here."),
                gettext_noop("Leave it out."),
                tag=repr(node.tag),
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, _below(path, str(n)), depth + 1) for n, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key == _MERGE and key_node.tag == _PLAIN:
                merged = self._merged(value_node, path, depth, key_node.start_mark.line + 1) | merged
                continue
            if key in own:
                raise _refused(
                    _below(path, key),
                    key_node.start_mark.line + 1,
                    gettext_noop("{name} stands here twice."),
                    gettext_noop("Keep one of the two."),
                    name=repr(key),
                )
            self.lines[_below(path, key)] = key_node.start_mark.line + 1
            own[key] = self.value(value_node, _below(path, key), depth + 1)
        return {**merged, **own}

    def _key(self, node: yaml.Node, path: str) -> str:
        self._count += 1
        if not isinstance(node, yaml.ScalarNode):
            raise _refused(
                path,
                node.start_mark.line + 1,
                gettext_noop("A name is wanted before the colon."),
                gettext_noop("Write name: value."),
            )
        return str(node.value)

    def _merged(self, node: yaml.Node, path: str, depth: int, line: int) -> dict[str, Any]:
        """What ``<<`` names: a mapping, or several of which an earlier one wins."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for item in nodes:
            if not isinstance(item, yaml.MappingNode):
                raise _refused(
                    path,
                    line,
                    gettext_noop("A merge key (<<) takes the alias of a mapping."),
                    gettext_noop("Write <<: *name."),
                )
            result = self.value(item, path, depth + 1) | result
        return result


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    return text if node.tag == f"{_TAG}str" else _plain(text)


def _plain(text: str) -> Any:
    """An unquoted word by the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.match(text):
        return int(text)
    if _HEX.match(text) or _OCTAL.match(text):
        return int(text, 0)
    if _FLOAT.match(text):
        number = float(text)
        return number if number not in (float("inf"), float("-inf")) else text
    return text


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _refused(path: str, line: int, sentence: str, remedy: str, **params: Any) -> InvalidSpec:
    return InvalidSpec(sentence, remedy=remedy, field=path, facts={"line": line}, **params)
