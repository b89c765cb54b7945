"""Typed readers of environment variables. A value that cannot be read stops the start with the variable's name."""

from __future__ import annotations

import os
import re
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path


class BadSetting(SystemExit):
    """A variable of the environment has a value that cannot be used."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        super().__init__(f"{name}={value!r} cannot be used: {wanted}.")


def text(name: str, default: str = "") -> str:
    """The variable's value; where it is empty, that of the file which ``<name>_FILE`` names, as secrets of containers are given."""
    value = os.environ.get(name, "").strip()
    if not value and (path := os.environ.get(f"{name}_FILE", "").strip()):
        try:
            value = Path(path).read_text().strip()
        except OSError as error:
            raise BadSetting(f"{name}_FILE", path, f"it cannot be read: {error.strerror}") from error
    return value or default


def flag(name: str, default: bool) -> bool:
    value = text(name)
    if not value:
        return default
    if value.lower() in {"1", "true", "yes", "on"}:
        return True
    if value.lower() in {"0", "false", "no", "off"}:
        return False
    raise BadSetting(name, value, "give true or false")


def integer(name: str, default: int, *, least: int = 0, most: int = 2**31) -> int:
    value = text(name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise BadSetting(name, value, f"give a whole number from {least} to {most}")
    return int(value)


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name) or default
    if value not in allowed:
        raise BadSetting(name, value, "give one of " + ", ".join(allowed))
    return value


def words(name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A list separated by commas or blanks."""
    value = text(name)
    return tuple(value.replace(",", " ").split()) if value else default


def interface(name: str, default: str = "") -> str:
    """An address with a prefix, such as ``192.168.5.1/24``; empty where not given."""
    value = text(name, default)
    if value:
        try:
            if "/" not in value:
                raise ValueError
            ip_interface(value)
        except ValueError:
            raise BadSetting(name, value, "give an address with a prefix, such as 192.168.5.1/24") from None
    return value


def network(name: str, default: str = "") -> str:
    """A range of addresses, such as ``192.168.5.0/25``; empty where not given."""
    value = text(name, default)
    if value:
        try:
            ip_network(value)
        except ValueError:
            raise BadSetting(name, value, "give a range of addresses, such as 192.168.5.0/25") from None
    return value


def addresses(name: str) -> tuple[str, ...]:
    values = words(name)
    for value in values:
        try:
            ip_address(value)
        except ValueError:
            raise BadSetting(name, value, "give IP addresses, separated by commas") from None
    return values


def underlay(name: str) -> str:
    """An address of the host, or the name of one of its devices; empty where not given."""
    value = text(name)
    if value and not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.-]{0,14}", value):
        try:
            ip_address(value)
        except ValueError:
            raise BadSetting(name, value, "give an address of this host, or the name of one of its devices") from None
    return value


def pools(name: str, default: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    """Address pools: ``172.17.0.0/12:16,192.168.0.0/16:20`` is base and the prefix length of each network."""
    values = words(name)
    if not values:
        return default
    result = []
    for value in values:
        base, _, size = value.rpartition(":")
        try:
            pool = ip_network(base)
            if not size.isdigit() or not pool.prefixlen <= int(size) <= pool.max_prefixlen - 2:
                raise ValueError
        except ValueError:
            raise BadSetting(name, value, "give pools as base:size, such as 172.16.0.0/12:16,fd00:1::/48:64") from None
        result.append((str(pool), int(size)))
    return tuple(result)


def bind(name: str, default: str) -> tuple[str, int]:
    """Address and port to listen on; an IPv6 address stands in brackets: ``127.0.0.1:8000``, ``[::]:8000``."""
    value = text(name) or default
    host, _, port = value.rpartition(":")
    try:
        if (":" in host) != (host.startswith("[") and host.endswith("]")) or not 0 < int(port) < 65536:
            raise ValueError
        ip_address(host.strip("[]"))
    except ValueError:
        raise BadSetting(name, value, "give an address and a port, such as 127.0.0.1:8000 or [::1]:8000") from None
    return host.strip("[]"), int(port)


def folder(name: str, default: str) -> Path:
    path = Path(text(name, default))
    if not path.is_absolute():
        raise BadSetting(name, str(path), "give an absolute path")
    return path
