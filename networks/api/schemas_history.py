"""Shapes for OpenAPI of the past."""

from __future__ import annotations

from rest_framework import serializers as s

from .schema_fields import anything, number, shape, text

Span = shape(
    "PastSpan",
    oldest=text(help_text="The first moment that is kept; null: none yet."),
    now=text(),
    points=s.ListField(child=s.ListField(child=s.CharField()), help_text="When something happened: at, kind, op."),
)
StateThen = shape("PastState", at=text(), n=number(), state=anything())
_RULE = {"flavour": text(), "family": number(), "table": text(), "chain": text(), "text": text(), "tag": text()}
PastRule = shape("PastRule", **_RULE)
RulesThen = shape("PastRules", since=text(), writer=text(), rules=PastRule(many=True))
Cause = shape("Cause", operation=text(), verb=text(), by=text(), at=text(), writer=text())
Changes = shape(
    "PastChanges",
    since=text(),
    at=text(),
    changes=shape(
        "PastChange",
        kind=text(),
        id=text(),
        name=text(),
        sign=s.ChoiceField(("+", "-", "~")),
        fields=anything(),
        causes=Cause(many=True),
    )(many=True),
    left_out=number(),
    rules=anything(),
)
