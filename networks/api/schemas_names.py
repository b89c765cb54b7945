"""Shapes for OpenAPI of files, names and links' variables."""

from __future__ import annotations

from rest_framework import serializers as s

from .schema_fields import anything, flag, mapping, shape, text, texts
from .schemas import OwnerShape, Reference

FileLine = shape(
    "FileLine", text=text(), origin=text(), owner=OwnerShape(required=False, allow_null=True), why=anything()
)
FileView = shape(
    "FileView",
    name=text(),
    seen=flag(),
    edited=flag(),
    drifted=flag(),
    lines=FileLine(many=True, required=False),
    missing=FileLine(many=True, required=False),
)
FilesOf = shape("FilesOf", host=text(), container=Reference(required=False), files=FileView(many=True, required=False))
Answer = shape(
    "Answer",
    address=text(),
    source=text(),
    text=text(),
    owner=OwnerShape(required=False, allow_null=True),
    why=anything(),
)
Lookup = shape("Lookup", container=Reference(required=False), answers=Answer(many=True, required=False), asks=texts())
LinkVariable = shape(
    "LinkVariable",
    name=text(),
    at_start=s.CharField(required=False, allow_null=True),
    now=s.CharField(required=False, allow_null=True),
    stale=flag(),
)
Environment = shape("Environment", env=mapping(), links=LinkVariable(many=True, required=False))
LookUpRequest = shape("LookUpRequest", name=s.CharField())
