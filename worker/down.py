"""``python -m worker.down``: take everything of ours out of this host's kernel. Database, images and files stay.

Desired state is not touched: the next start brings all of it back. Run it while the worker is stopped.
"""

from __future__ import annotations

import sys

import django


def main() -> int:
    django.setup()
    from django.conf import settings

    from networks.models import Host

    from .build import build
    from .diff import diff

    host = Host.objects.filter(name=settings.HOST_NAME).first()
    if host is None:
        return 0
    parts = build(host)
    applied = parts.machine.apply_what_can_be(diff((), parts.machine.observe(None)), lambda owner: owner.id)
    parts.processes.runtime.tear_down()
    for step, error in applied.failed:
        print(f"{step.describe()}: {error}", file=sys.stderr)
    print(f"{len(applied.done)} things were taken away, {len(applied.failed)} could not be.")
    return 1 if applied.failed else 0


if __name__ == "__main__":
    sys.exit(main())
