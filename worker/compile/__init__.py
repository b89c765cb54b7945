"""Desired state and facts in, resources out. Pure and deterministic: the same input gives the same output, in the same order."""

from .host import compile_host

__all__ = ["compile_host"]
