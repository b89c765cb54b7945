"""Runs one function inside a throw-away host and gives its result back as JSON: the far end of ``Bottle.python``.

Reads ``{"code": ..., "args": [...], "kwargs": {...}}`` from standard input. What the function prints goes to standard
error; the result is the only thing on standard output.
"""

import importlib
import json
import os
import sys
from operator import attrgetter
from typing import Any


def resolve(code: str) -> Any:
    """The function that ``module:function`` names, or the ``main`` of a piece of source."""
    if "\n" not in code and " " not in code:
        module, _, name = code.partition(":")
        return attrgetter(name)(importlib.import_module(module))
    scope: dict[str, Any] = {"__name__": "bottled"}
    exec(compile(code, "<bottled>", "exec"), scope)  # noqa: S102  # the test's own source
    return scope["main"]


def main() -> None:
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    request = json.load(sys.stdin)
    result = resolve(request["code"])(*request["args"], **request["kwargs"])
    json.dump(result, answer, default=str)
    answer.close()


if __name__ == "__main__":
    main()
