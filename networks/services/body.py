"""Reading a request: a JSON object whose every key is known, typed and bounded. Each refusal names its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar

from networks.cnm.addresses import AnyAddress, AnyNetwork
from networks.cnm.errors import InvalidSpec
from networks.cnm.text import Text, gettext_noop

T = TypeVar("T")

MAX_TEXT = 4096
MAX_ITEMS = 4096
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Characters that no value has: controls (tab and line ends aside) and lone surrogates."""
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
_MISSING: Any = object()


def bad(field: str, sentence: str, remedy: str, **params: Any) -> InvalidSpec:
    """The refusal of an input; *field* in the spelling of the REST API."""
    return InvalidSpec(sentence, remedy=remedy, field=field, **params)


class Body:
    """One JSON object at a path of the request. Take each value by its name, then :meth:`finish`."""

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, Mapping):
            raise bad(path, gettext_noop("An object is wanted here."), gettext_noop("Give a JSON object."))
        self._value = dict(value)
        self._path = path
        self._known: list[str] = []

    def field(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def given(self, name: str) -> bool:
        return self._value.get(name) is not None

    def take(self, name: str, default: Any = _MISSING) -> Any:
        """The raw value; null counts as not given."""
        self._known.append(name)
        value = self._value.get(name)
        if value is not None:
            return value
        if default is _MISSING:
            raise bad(self.field(name), gettext_noop("{name} is missing."), gettext_noop("Give {name}."), name=name)
        return default

    def text(
        self,
        name: str,
        default: str = _MISSING,
        *,
        pattern: re.Pattern[str] | None = None,
        wanted: str = "",
        most: int = MAX_TEXT,
    ) -> str:
        """A string; *pattern* and *wanted* say what it looks like."""
        value = self.take(name, default)
        if value == default:
            return str(value)
        return text_value(self.field(name), value, pattern=pattern, wanted=wanted, most=most)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise bad(
                self.field(name),
                gettext_noop("{value} is not a {name}."),
                gettext_noop("Give one of: {allowed}."),
                value=repr(value),
                name=name.replace("_", " "),
                allowed=", ".join(allowed),
            )
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise bad(
                self.field(name),
                gettext_noop("{name} is true or false."),
                gettext_noop("Give true or false."),
                name=name,
            )
        return value

    def integer(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        value = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise bad(
                self.field(name),
                gettext_noop("{name} is a whole number from {least} to {most}."),
                gettext_noop("Give such a number."),
                name=name,
                least=least,
                most=most,
            )
        return value

    def number(self, name: str, default: float, *, most: float) -> float:
        value = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise bad(
                self.field(name),
                gettext_noop("{name} is a number from 0 to {most}."),
                gettext_noop("Give such a number."),
                name=name,
                most=most,
            )
        return float(value)

    def items(self, name: str, *, most: int = MAX_ITEMS) -> Iterator[tuple[str, Any]]:
        """(field, raw value) of each item of a list; a missing list is empty."""
        value = self.take(name, [])
        if not isinstance(value, list):
            raise bad(self.field(name), gettext_noop("{name} is a list."), gettext_noop("Give a JSON list."), name=name)
        self._bounded(name, len(value), most)
        return ((f"{self.field(name)}.{number}", item) for number, item in enumerate(value))

    def _bounded(self, name: str, count: int, most: int) -> None:
        if count > most:
            raise bad(
                self.field(name),
                gettext_noop("{name} has more than {most} items."),
                gettext_noop("Give fewer."),
                name=name,
                most=most,
            )

    def each(self, name: str, read: Callable[[str, Any], T], *, most: int = MAX_ITEMS) -> tuple[T, ...]:
        """Each item of a list through *read(field, value)*."""
        return tuple(read(field, item) for field, item in self.items(name, most=most))

    def texts(self, name: str, *, most: int = MAX_ITEMS, longest: int = MAX_TEXT) -> tuple[str, ...]:
        return self.each(name, lambda field, item: text_value(field, item, most=longest), most=most)

    def mapping(self, name: str, *, most: int = 1024, longest: int = 32768) -> dict[str, str]:
        """String -> string, in the given order. Numbers and booleans are taken in their JSON spelling."""
        value = self.take(name, {})
        if not isinstance(value, Mapping):
            raise bad(
                self.field(name),
                gettext_noop("{name} maps names to values."),
                gettext_noop("Give a JSON object of strings."),
                name=name,
            )
        self._bounded(name, len(value), most)
        result = {}
        for key, item in value.items():
            field = f"{self.field(name)}.{key}"
            text_value(field, key, most=255)
            if isinstance(item, bool):
                item = str(item).lower()
            elif isinstance(item, int):
                item = str(item)
            result[key] = text_value(field, item, most=longest)
        return result

    def address(self, name: str, version: int | None = None) -> AnyAddress | None:
        value = self.text(name, "")
        return address_value(self.field(name), value, version) if value else None

    def mac(self, name: str) -> str:
        value = self.text(name, "").lower()
        if value and (not _MAC.match(value) or int(value[:2], 16) & 1 or not value.strip("0:")):
            raise bad(
                self.field(name),
                gettext_noop("{value} is not a MAC address of one interface."),
                gettext_noop("Give six pairs of hexadecimal digits, the first one even, such as 02:42:0a:00:00:05."),
                value=repr(value),
            )
        return value

    def finish(self) -> None:
        """Refuse what nobody took."""
        unknown = sorted(set(map(str, self._value)) - set(self._known))
        if unknown:
            raise bad(
                self.field(unknown[0]),
                gettext_noop("{name} is not a known field."),
                gettext_noop("Known fields are {known}."),
                name=repr(unknown[0]),
                known=", ".join(dict.fromkeys(self._known)),
            )


def text_value(
    field: str, value: object, *, pattern: re.Pattern[str] | None = None, wanted: str = "", most: int = MAX_TEXT
) -> str:
    """*value* as bounded text without controls; *pattern* and *wanted* say what it looks like. Raises :class:`InvalidSpec`."""
    if not isinstance(value, str):
        raise bad(field, gettext_noop("Text is wanted here."), gettext_noop("Give a JSON string."))
    if len(value) > most:
        raise bad(
            field,
            gettext_noop("The text is longer than {most} characters."),
            gettext_noop("Give a shorter one."),
            most=most,
        )
    if _CONTROL.search(value):
        raise bad(
            field,
            gettext_noop("The text holds characters that cannot be used."),
            gettext_noop("Leave out control characters and null bytes."),
        )
    if pattern is not None and not pattern.match(value):
        raise bad(
            field,
            gettext_noop("{value} cannot be used here."),
            gettext_noop("Give {wanted}."),
            value=repr(value),
            wanted=Text(wanted),
        )
    return value


def address_value(field: str, value: object, version: int | None = None) -> AnyAddress:
    """*value* as an address, of IP *version* if given. Raises :class:`InvalidSpec`."""
    try:
        address = ip_address(text_value(field, value, most=64))
        if (version and address.version != version) or getattr(address, "scope_id", None):
            raise ValueError
    except ValueError:
        wanted = f"IPv{version}" if version else "IP"
        raise bad(
            field,
            gettext_noop("{value} is not an {wanted} address."),
            gettext_noop("Give an {wanted} address."),
            value=repr(value),
            wanted=wanted,
        ) from None
    return address


def network_value(field: str, value: object) -> AnyNetwork:
    """*value* as a range of addresses. Raises :class:`InvalidSpec`."""
    try:
        return ip_network(text_value(field, value, most=64))
    except ValueError as error:
        remedy, meant = gettext_noop("Give a range such as 10.5.0.0/24; host bits are zero."), ""
        with suppress(ValueError):
            meant = str(ip_network(str(value), strict=False))
            remedy = gettext_noop("Give {meant}: host bits are zero.")
        sentence = gettext_noop("{value} is not a range of addresses.")
        raise bad(field, sentence, remedy, value=repr(value), meant=meant) from error
