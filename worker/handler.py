"""What every handler of resources offers; one handler looks after the kinds that are read and written together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from networks.cnm.plan import Step
from networks.cnm.resources import Key, Resource

Done = Callable[[Step], None]


class Handler(Protocol):
    """Reads and writes some kinds of resources in the host's own namespaces."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of resources that it looks after."""
        ...

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """What of *keys* exists now; None: everything that carries our names or marks.

        A resource that is as compile made it equals (``==``) what compile made.
        """
        ...

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """Carry out *steps* (of its kinds and of one stage) in order, calling *done* after each.

        Creating what is there as wanted and deleting what is gone are no errors. Raises a ``CnmError`` that names the
        step; steps not reported done count as not done.
        """
        ...
