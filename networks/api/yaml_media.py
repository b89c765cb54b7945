"""YAML as a body: what a request brings is handed on as text, for its service reads it with its limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

MEDIA_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


@dataclass(frozen=True, slots=True)
class YamlText:
    """A body that is YAML, unread."""

    text: str


class _YamlParser(BaseParser):
    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        return YamlText(stream.read().decode("utf-8", "surrogateescape"))


def _parser(media: str) -> type[BaseParser]:
    return type("YamlParser", (_YamlParser,), {"media_type": media})


YAML_PARSERS = [_parser(media) for media in MEDIA_TYPES]


class YamlRenderer(BaseRenderer):
    """For answers that are YAML text already; a problem stays JSON."""

    media_type = "application/yaml"
    format = "yaml"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return (data if isinstance(data, str) else json.dumps(data)).encode()
