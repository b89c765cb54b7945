"""The REST API as its OpenAPI document describes it, in the shape in which a page lists it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
_CHOICES = ("oneOf", "anyOf", "allOf")
_REF = "#/components/schemas/"
_EXAMPLES = {"string": "…", "integer": 0, "number": 0, "boolean": True, "array": [], "object": {}}


@dataclass(frozen=True, slots=True)
class Part:
    """A type in a few words; *schema* is the object of the document that it is made of, if any."""

    words: str
    schema: str = ""


Type = tuple[Part, ...]
"""What a value may be: one of these."""


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter, or a field of an object."""

    name: str
    type: Type
    required: bool
    words: str


@dataclass(frozen=True, slots=True)
class Reply:
    code: str
    type: Type
    words: str


@dataclass(frozen=True, slots=True)
class Call:
    """One method of one path."""

    key: str
    tag: str
    method: str
    path: str
    summary: str
    parameters: tuple[Member, ...]
    body: Type | None
    replies: tuple[Reply, ...]
    curl: str


def calls(document: Json, api: str) -> list[Call]:
    """All calls in the order of the document; *api* is the address at which it is reached."""
    return [
        _call(document, api, path, method, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def objects(document: Json) -> list[tuple[str, tuple[Member, ...]]]:
    """The objects that bodies and answers are made of, with their fields."""
    schemas = _schemas(document)
    return [
        (name, tuple(_fields(schemas, schema))) for name, schema in sorted(schemas.items()) if not _is_choice(schema)
    ]


def _schemas(document: Json) -> Json:
    found: Json = document["components"]["schemas"]
    return found


def _is_choice(schema: Json) -> bool:
    return any(key in schema for key in _CHOICES)


def _call(document: Json, api: str, path: str, method: str, given: Json) -> Call:
    body, schemas = _content(given.get("requestBody", {})), _schemas(document)
    return Call(
        key=given["operationId"],
        tag=given["tags"][0],
        method=method.upper(),
        path=path,
        summary=given.get("summary", ""),
        parameters=tuple(_parameter(schemas, item) for item in given.get("parameters", ())),
        body=type_of(schemas, body) if body else None,
        replies=tuple(
            Reply(code, type_of(schemas, _content(item) or {}), item.get("description", ""))
            for code, item in sorted(given["responses"].items())
        ),
        curl=_curl(document, api, path, method, body),
    )


def _content(given: Json) -> Json | None:
    content = given.get("content", {})
    first = content.get("application/json") or next(iter(content.values()), {})
    found: Json | None = first.get("schema")
    return found


def _parameter(schemas: Json, given: Json) -> Member:
    kind = type_of(schemas, given["schema"])
    return Member(given["name"], kind, given.get("required", False), given.get("description", ""))


def _fields(schemas: Json, schema: Json) -> Iterator[Member]:
    required = schema.get("required", ())
    for name, value in schema.get("properties", {}).items():
        yield Member(name, type_of(schemas, value), name in required, value.get("description", ""))


def type_of(schemas: Json, schema: Json) -> Type:
    """What a value by *schema* may be; nothing for none at all."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return type_of(schemas, schemas[name]) if _is_choice(schemas[name]) else (Part(name, name),)
    if _is_choice(schema):
        return tuple(part for key in _CHOICES for one in schema.get(key, ()) for part in type_of(schemas, one))
    if "enum" in schema:
        return tuple(Part(json.dumps(value)) for value in schema["enum"])
    kind = schema.get("type", "")
    if kind == "array":
        return tuple(Part(f"[{part.words}]", part.schema) for part in type_of(schemas, schema.get("items", {})))
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        inner = type_of(schemas, schema["additionalProperties"])
        return tuple(Part(f"{{string: {part.words}}}", part.schema) for part in inner)
    words = schema.get("format", kind) if kind == "string" else kind
    return (Part(words),) if words else ()


def _curl(document: Json, api: str, path: str, method: str, body: Json | None) -> str:
    """A call that somebody can type, with what has to be given and no more."""
    address = "/".join(_place(part) for part in path.removeprefix("/api/v1/").split("/"))
    words = ['curl -H "Authorization: Bearer $TOKEN"']
    if method not in {"get", "post"} or (method == "post" and body is None):
        words.append(f"-X {method.upper()}")
    if body is not None:
        example = json.dumps(_example(document, body), ensure_ascii=False)
        words += ["-H 'Content-Type: application/json'", f"-d '{example}'"]
    return " ".join([*words, f"'{api}{address}'"])


def _place(part: str) -> str:
    """``{ref}`` of a path as a shell's variable would be written."""
    return part[1:-1].upper() if part.startswith("{") else part


def _example(document: Json, schema: Json, depth: int = 0) -> Any:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].removeprefix(_REF)]
    for key in _CHOICES:
        if key in schema:
            return _example(document, schema[key][0], depth)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("properties") and depth < 3:
        required = schema.get("required", ())
        return {name: _example(document, schema["properties"][name], depth + 1) for name in required}
    return _EXAMPLES.get(schema.get("type", ""), "…")
