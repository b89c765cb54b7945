"""Shapes for OpenAPI of terminals."""

from __future__ import annotations

from .schema_fields import anything, flag, number, shape, text, texts
from .schemas import Reference

TerminalRequest = shape("TerminalRequest", command=texts(), user=text(), working_dir=text())
Terminal = shape(
    "Terminal",
    id=text(),
    host=text(),
    container=Reference(required=False),
    command=texts(),
    user=text(),
    working_dir=text(),
    tty=flag(),
    state=text(),
    created_by=text(),
    created_at=text(),
    started_at=text(),
    ended_at=text(),
    exit_code=number(),
    reason=text(),
    error=anything(),
)
