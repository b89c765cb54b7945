"""Shapes of hosts that join, for OpenAPI alone."""

from __future__ import annotations

from .schema_fields import anything, flag, mapping, number, shape, text

JoinTokenRequest = shape("JoinTokenRequest", hours=number())
_JOIN_TOKEN = {
    "id": number,
    "created_by": text,
    "created_at": text,
    "expires_at": text,
    "used_at": text,
    "host": anything,
}
JoinToken = shape("JoinToken", **{name: make() for name, make in _JOIN_TOKEN.items()})
NewJoinToken = shape(
    "NewJoinToken", token=text(), command=text(), **{name: make() for name, make in _JOIN_TOKEN.items()}
)
ActivateRequest = shape("ActivateRequest", start=flag())
JoinRequest = shape("JoinRequest", token=text(), name=text())
Association = shape(
    "Association",
    id=number(),
    spi=text(help_text="The number that its packets carry, in hexadecimal."),
    sender=text(),
    receiver=text(),
    state=text(help_text="made, held (the receiver has it), or used (the sender sends by it)"),
    made_at=text(),
    held_at=text(),
    used_at=text(),
)
Rotation = shape("Rotation", begun=number(), under_way=number())
Joined = shape("Joined", settings=mapping())
