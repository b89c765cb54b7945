"""Instructions of ``docker import --change`` and ``docker commit --change`` as members of an OCI image configuration. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import EngineError, not_supported

_KEPT = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Labels", "StopSignal", "User", "WorkingDir")
_WITHOUT_EFFECT = ("AttachStderr", "AttachStdin", "AttachStdout", "Domainname", "Hostname", "Image", "OpenStdin")
_WITHOUT_EFFECT += ("StdinOnce", "Tty")
"""What Docker keeps with an image and no container that is made of it takes over."""


def read_config(body: Mapping[str, Any]) -> dict[str, Any]:
    """What of a ``Config`` that is sent along with a commit goes into the image. Raises EngineError for what cannot."""
    for name, value in body.items():
        if value and name not in _KEPT and name not in _WITHOUT_EFFECT:
            raise not_supported(f"{name} in the configuration of an image")
    config = {name: body[name] for name in _KEPT if body.get(name)}
    for name in ("Cmd", "Entrypoint"):
        if isinstance(config.get(name), str):
            config[name] = [config[name]]
    return config


def read_changes(lines: Iterable[str], config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``CMD ["sh"]``, ``ENV A=1``, ``EXPOSE 80/tcp``, … over *config*. Raises EngineError."""
    config = dict(config or {})
    for line in lines:
        for part in filter(None, map(str.strip, line.split("\n"))):
            word, _, rest = part.partition(" ")
            _apply(config, word.upper(), rest.strip())
    return config


def _apply(config: dict[str, Any], word: str, rest: str) -> None:
    if word in {"CMD", "ENTRYPOINT"}:
        config[word.capitalize()] = _command(rest)
    elif word == "ENV":
        config["Env"] = [*config.get("Env", ()), *(f"{name}={value}" for name, value in _pairs(rest))]
    elif word == "LABEL":
        config["Labels"] = {**config.get("Labels", {}), **dict(_pairs(rest))}
    elif word == "EXPOSE":
        ports = {port if "/" in port else f"{port}/tcp": {} for port in rest.split()}
        config["ExposedPorts"] = {**config.get("ExposedPorts", {}), **ports}
    elif word in {"USER", "WORKDIR", "STOPSIGNAL"}:
        config[{"USER": "User", "WORKDIR": "WorkingDir", "STOPSIGNAL": "StopSignal"}[word]] = rest
    elif word in {"VOLUME", "ONBUILD", "HEALTHCHECK"}:
        raise not_supported(f"the instruction {word}")
    else:
        raise EngineError(400, f"{word} is not a valid change command")


def _command(rest: str) -> list[str]:
    """A JSON list of words, else a line for the shell."""
    if rest.startswith("["):
        try:
            value = json.loads(rest)
        except ValueError:
            value = None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
    return ["/bin/sh", "-c", rest]


def _pairs(rest: str) -> list[tuple[str, str]]:
    """``A=1 B="two words"``, or the old ``A some words``."""
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise EngineError(400, f"dockerfile parse error: {error}") from None
    if words and "=" not in words[0]:
        name, _, value = rest.partition(" ")
        return [(name, value.strip())]
    if not all("=" in word for word in words):
        raise EngineError(400, f"Syntax error - can't find = in {rest!r}. Must be of the form: name=value")
    return [(name, value) for name, _, value in (word.partition("=") for word in words)]
