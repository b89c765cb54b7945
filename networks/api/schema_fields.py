"""The field types that the shapes for OpenAPI are made of. What may be left out is not required."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s


def text(**options: Any) -> s.CharField:
    return s.CharField(required=False, **options)


def texts() -> s.ListField:
    return s.ListField(child=s.CharField(), required=False)


def mapping() -> s.DictField:
    return s.DictField(child=s.CharField(), required=False)


def flag() -> s.BooleanField:
    return s.BooleanField(required=False)


def number() -> s.IntegerField:
    return s.IntegerField(required=False)


def anything() -> s.JSONField:
    return s.JSONField(required=False)


def shape(called: str, /, **fields: s.Field) -> type[s.Serializer[Any]]:
    """A serializer class of that name with these fields."""
    return type(called, (s.Serializer,), dict(fields))
