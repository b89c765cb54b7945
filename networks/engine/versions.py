"""The versions of the Docker Engine API that are spoken."""

from __future__ import annotations

LEAST = (1, 24)
MOST = NOW = (1, 51)
"""A client that speaks less (1.41 is Docker 20.10's) gets the shapes of its own version where they differ."""


def spelled(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
