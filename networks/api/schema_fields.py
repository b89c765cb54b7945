"""The field types that the shapes for OpenAPI are made of. What may be left out is not required."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s


def text(**options: Any) -> s.CharField:
    """A string that may be left out."""
    return s.CharField(required=False, **options)


def texts() -> s.ListField:
    """A list of strings."""
    return s.ListField(child=s.CharField(), required=False)


def mapping() -> s.DictField:
    """An object of strings."""
    return s.DictField(child=s.CharField(), required=False)


def flag() -> s.BooleanField:
    """true or false."""
    return s.BooleanField(required=False)


def number() -> s.IntegerField:
    """A whole number."""
    return s.IntegerField(required=False)


def anything() -> s.JSONField:
    """Any JSON, described elsewhere."""
    return s.JSONField(required=False)


def shape(called: str, /, **fields: s.Field) -> type[s.Serializer[Any]]:
    """A serializer class of that name with these fields."""
    return type(called, (s.Serializer,), dict(fields))
