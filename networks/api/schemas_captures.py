"""Shapes for OpenAPI of packet captures."""

from __future__ import annotations

from .schema_fields import anything, number, shape, text
from .schemas import Subject

CaptureRequest = shape(
    "CaptureRequest",
    container=text(),
    network=text(),
    protocol=text(),
    host=text(),
    port=number(),
    seconds=number(),
    size=number(),
    snap_length=number(),
)
Capture = shape(
    "Capture",
    id=text(),
    host=text(),
    subject=Subject(required=False),
    network=text(),
    interface=text(),
    filter=anything(),
    seconds=number(),
    size_limit=number(),
    snap_length=number(),
    created_by=text(),
    created_at=text(),
    ended_at=text(),
    state=text(),
    reason=text(),
    packets=number(),
    size=number(),
    dropped=number(),
    operation=text(),
)
