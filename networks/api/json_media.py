"""JSON as a body: as RFC 8259 wants it, with each name of an object once. Of one that stands twice Python would take the last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.utils.json import strict_constant

from networks.cnm.text import gettext_noop
from networks.services.body import bad


class JsonParser(JSONParser):
    """Reads a body. Raises :class:`ParseError` where it is no JSON, :class:`InvalidSpec` where a name stands twice."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        try:
            text = stream.read().decode()
            return json.loads(text, object_pairs_hook=_object, parse_constant=strict_constant)
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        name = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise bad(
            name, gettext_noop("{name} stands twice in one object."), gettext_noop("Give it once."), name=repr(name)
        )
    return value
