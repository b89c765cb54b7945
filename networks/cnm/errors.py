"""Errors by who must act. Each names the object, the cause and the remedy; none knows HTTP (a face maps ``code``)."""

from __future__ import annotations

from typing import Any, ClassVar

from .text import NOTHING, Text


class CnmError(Exception):
    """A refusal or a failure in words.

    *sentence* and *remedy* are templates (marked with ``gettext_noop`` where they stand), filled from *params*.
    *field* is the name of the input that is to blame, in the spelling of the REST API (``"subnets.0.gateway"``);
    *subject* is the object (``"network web"``). *facts* are machine-readable additions for a script.
    """

    code: ClassVar[str] = "error"

    def __init__(
        self,
        sentence: str,
        /,
        *,
        remedy: str | Text = "",
        field: str = "",
        subject: str = "",
        facts: dict[str, Any] | None = None,
        **params: Any,
    ) -> None:
        self.sentence = Text.of(sentence, **params)
        self.remedy = remedy if isinstance(remedy, Text) else Text.of(remedy, **params) if remedy else NOTHING
        self.field = field
        self.subject = subject
        self.facts = facts or {}
        super().__init__(str(self.sentence))

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}".strip()

    def to_json(self) -> dict[str, Any]:
        """What an operation row stores of the error."""
        return {
            "code": self.code,
            "sentence": self.sentence.to_json(),
            "remedy": self.remedy.to_json(),
            "field": self.field,
            "subject": self.subject,
            "facts": self.facts,
        }


class InvalidSpec(CnmError):
    """The request is malformed or contradicts itself: the caller changes the request."""

    code = "invalid"


class NotFound(CnmError):
    """The object named does not exist."""

    code = "not_found"


class Conflict(CnmError):
    """The request collides with what exists: a name, an address, a port, a subnet, an object in use."""

    code = "conflict"


class Exhausted(Conflict):
    """A pool, a subnet or a port range has nothing left to give."""

    code = "exhausted"


class Forbidden(CnmError):
    """The object may not be changed this way, by anybody or by this user."""

    code = "forbidden"


class Unsupported(CnmError):
    """This build, kernel or host cannot do it; the sentence says what is missing."""

    code = "unsupported"


class Unavailable(CnmError):
    """A process, host or plugin does not answer now. Retrying later may succeed."""

    code = "unavailable"


class PluginRefused(CnmError):
    """A plugin heard what was asked of it and will not, or not in words that its protocol has. ``facts`` holds plugin and method."""

    code = "plugin_refused"


class KernelRefused(CnmError):
    """The kernel or a system program refused a step. ``facts`` holds errno and the step's key."""

    code = "kernel_refused"


class ApplyFailed(CnmError):
    """A plan failed in the middle. ``facts`` holds ``failed``, ``undone`` and ``left`` (lists of step texts)."""

    code = "apply_failed"


def from_json(value: dict[str, Any]) -> CnmError:
    """The error that an operation row stored, as an exception of the right class again."""
    kinds = {kind.code: kind for kind in _all_kinds(CnmError)}
    error = kinds.get(value["code"], CnmError).__new__(kinds.get(value["code"], CnmError))
    error.sentence = Text.from_json(value["sentence"])
    error.remedy = Text.from_json(value["remedy"]) if value["remedy"].get("template") else NOTHING
    error.field, error.subject, error.facts = value["field"], value["subject"], value["facts"]
    Exception.__init__(error, str(error.sentence))
    return error


def _all_kinds(kind: type[CnmError]) -> list[type[CnmError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _all_kinds(child))]
