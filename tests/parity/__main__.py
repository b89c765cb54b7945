"""``python -m tests.parity``: play one scenario against a real Docker Engine and CNM Web, and print what differs (root; needs dockerd)."""

from __future__ import annotations

from .scenario import differences
from .sides import both


def main() -> None:
    theirs, mine = both()
    found = differences(theirs, mine)
    for place, (one, other) in found.items():
        print(f"{place}\n    Docker:  {one!r}\n    CNM Web: {other!r}")
    print(f"{len(theirs.values)} values compared, {len(found)} differ.")


if __name__ == "__main__":
    main()
