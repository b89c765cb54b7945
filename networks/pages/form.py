"""What a person typed, kept as typed, and the refusal that stands beside one of its fields."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, QueryDict

from networks.cnm.errors import CnmError, InvalidSpec
from networks.cnm.text import gettext_noop
from networks.services.body import bad

from .labels import in_words_of_forms

_ROW = re.compile(r"(?P<set>[a-z_]+)\.(?P<number>\d+)\.(?P<column>[a-z_0-9]+)\Z", re.ASCII)
MAX_ROWS = 4096


class Form:
    """Flat fields by name, and sets of rows (``ports.0.host_port``). Fields bear the names of the REST API's body.

    Rows that are empty are left out, so that row *n* here is item *n* of the body; one empty row follows for more.
    """

    def __init__(
        self,
        data: QueryDict | Mapping[str, str],
        row_sets: Mapping[str, Sequence[str]] | None = None,
        places: Mapping[str, str] | None = None,
    ) -> None:
        self._values = {name: _text(data, name) for name in data}
        self._row_sets = dict(row_sets or {})
        self._places = dict(places or {})
        """Where a refusal of a field of the body stands that has another name here."""
        self._rows = {name: self._read_rows(name, columns) for name, columns in self._row_sets.items()}
        self.problem: CnmError | None = None
        self._field = ""
        self.quiet = False
        """Whether a refusal stands beside its field only where something was typed (a preview while typing)."""

    def _read_rows(self, name: str, columns: Sequence[str]) -> list[dict[str, str]]:
        rows: dict[int, dict[str, str]] = {}
        for key, value in self._values.items():
            found = _ROW.match(key)
            if found and found["set"] == name and found["column"] in columns and len(found["number"]) < 6:
                rows.setdefault(int(found["number"]), {})[found["column"]] = value
        kept = [row for _number, row in sorted(rows.items()) if _is_filled(row)]
        return kept[:MAX_ROWS]

    # What was typed

    def value(self, name: str) -> str:
        found = _ROW.match(name)
        if found and found["set"] in self._rows:
            rows = self._rows[found["set"]]
            number = int(found["number"])
            return rows[number].get(found["column"], "") if number < len(rows) else ""
        return self._values.get(name, "")

    def flag(self, name: str) -> bool:
        return self.value(name) in {"on", "true", "1"}

    def rows(self, name: str) -> list[dict[str, str]]:
        """The filled rows."""
        return self._rows[name]

    def numbered(self) -> dict[str, range]:
        """For templates: set -> the numbers of its rows, the empty one at the end included."""
        return {name: range(len(rows) + 1) for name, rows in self._rows.items()}

    def put(self, name: str, value: str) -> None:
        """Another value in place of what was typed."""
        self._values[name] = value

    @property
    def text(self) -> str:
        """The field ``text``, for templates."""
        return self.value("text")

    def fill(self, values: Mapping[str, str]) -> None:
        """Defaults for fields that a fresh form has."""
        for name, value in values.items():
            self._values.setdefault(name, value)

    # As values of a body: what cannot be read is handed on as typed, for the service to refuse it in its own words

    def integer(self, name: str) -> int | str | None:
        return whole(self.value(name))

    def words(self, name: str) -> list[str]:
        """A command line as words, quoted as in a shell."""
        try:
            return shlex.split(self.value(name))
        except ValueError:
            raise InvalidSpec(
                gettext_noop("A quote is open in {text}."),
                remedy=gettext_noop("Close it."),
                field=name,
                text=self.value(name),
            ) from None

    def listed(self, name: str) -> list[str]:
        """Values separated by commas, blanks or lines."""
        return self.value(name).replace(",", " ").split()

    def mapping(self, name: str) -> dict[str, str]:
        """Rows of ``key`` and ``value``."""
        return {row.get("key", "").strip(): row.get("value", "") for row in self.rows(name)}

    # The refusal

    def refuse(self, problem: CnmError) -> None:
        self.problem = problem
        self._field = self._row_of_port(problem) or self._place(problem.field)

    def _row_of_port(self, problem: CnmError) -> str:
        """Beside which host port a refusal of the ports as a whole belongs: that of the port it speaks of."""
        port = dict(problem.sentence.params).get("port", "") if problem.field == "ports" else ""
        typed = [row.get("host_port", "").strip() for row in self._rows.get("ports", ())]
        return f"ports.{typed.index(port)}.host_port" if port and port in typed else ""

    def _place(self, name: str) -> str:
        """The field of the page for a field of the body: ``env.PATH`` is the row whose key is PATH."""
        if name in self._places:
            return self._places[name]
        head, _dot, rest = name.partition(".")
        if head not in self._rows:
            return name
        columns = self._row_sets[head]
        if "key" in columns:
            for number, row in enumerate(self._rows[head]):
                if row.get("key", "").strip() == rest:
                    return f"{head}.{number}.value"
            return f"{head}.0.key"
        parts = rest.split(".")
        if parts[0].isdigit():
            column = parts[1] if len(parts) > 1 and parts[1] in columns else columns[0]
            return f"{head}.{parts[0]}.{column}"
        return f"{head}.0.{columns[0]}"

    def error(self, name: str) -> str:
        if self.problem is None or name != self._field:
            return ""
        if self.quiet and not self.value(name):
            return ""
        return self.sentence

    @property
    def unfinished(self) -> bool:
        """Nothing is wrong but a field that nobody has come to yet, in a form that was not sent."""
        return self.quiet and bool(self.error_field) and not self.value(self.error_field)

    @property
    def remedy(self) -> str:
        return in_words_of_forms(self.problem, self.problem.remedy) if self.problem else ""

    @property
    def error_field(self) -> str:
        return self._field if self.problem else ""

    @property
    def sentence(self) -> str:
        return in_words_of_forms(self.problem, self.problem.sentence) if self.problem else ""


def whole(text: str) -> int | str | None:
    """A whole number; None for nothing; what is neither stays text."""
    text = text.strip()
    if not text:
        return None
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20 else text


def _text(data: QueryDict | Mapping[str, str], name: str) -> str:
    value = data[name]
    return value.replace("\r\n", "\n") if isinstance(value, str) else str(value)


def _is_filled(row: Mapping[str, Any]) -> bool:
    """Selects always have a value (a protocol), so they alone do not fill a row."""
    return any(value.strip() for column, value in row.items() if column not in {"protocol"})


def uploaded_text(request: HttpRequest, name: str, most: int) -> str:
    """The text of the file that was chosen for the field *name*, if one was. Raises InvalidSpec for more than *most* bytes."""
    file = request.FILES.get(f"{name}_file")
    if file is None:
        return ""
    if (file.size or 0) > most:
        raise bad(
            name,
            gettext_noop("The file is larger than {most} MiB."),
            gettext_noop("Load a smaller one, or use the REST API."),
            most=most >> 20,
        )
    return bytes(file.read()).decode(errors="replace")
