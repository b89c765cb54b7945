"""``python -m worker.down``: stop the containers and take everything of ours out of this host's kernel. Database, images and files stay.

Desired state is not touched: the next start brings all of it back. Run it while the worker is stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from networks.models import Host

    from .build import Parts


def main() -> int:
    django.setup()
    from django.conf import settings

    from networks.cnm.errors import CnmError
    from networks.models import Host

    from .diff import diff
    from .monitor.traffic import meter_off

    host = Host.objects.filter(name=settings.HOST_NAME).first()
    if host is None and not (settings.RUN_DIR / "ledger").exists():
        return 0  # nothing of ours was ever here
    host = host or Host(
        name=settings.HOST_NAME, settings=settings.HOST_SETTINGS
    )  # it was removed, perhaps while it was silent
    try:
        parts = _parts(host, settings.RUN_DIR)
    except CnmError as error:
        print(f"Our rules cannot be taken away: {error}", file=sys.stderr)
        return 1
    killed = parts.processes.runtime.stop_all(_asked(host))
    applied = parts.machine.apply_what_can_be(diff((), parts.machine.observe(None)), lambda owner: owner.id)
    parts.processes.runtime.tear_down()
    meter_off()
    for step, error in applied.failed:
        print(f"{step.describe()}: {error}", file=sys.stderr)
    if killed:
        print(f"Containers that did not end in their time and were killed: {killed}.")
    print(f"{len(applied.done)} things were taken away, {len(applied.failed)} could not be.")
    return 1 if applied.failed else 0


def _parts(host: Host, run_dir: Path) -> Parts:
    """The parts of the host; without rules where none of ours were ever written and none could be, so that its worker never started."""
    from networks.cnm.errors import CnmError

    from .build import NO_RULES, build

    try:
        return build(host)
    except CnmError:
        if (run_dir / "ledger" / "rules.json").exists():
            raise
        return build(host, NO_RULES)


def _asked(host: Host) -> dict[str, tuple[str, float]]:
    """Container id -> the signal that asks it to end, and how many seconds it may take."""
    from networks.models import Container

    rows = Container.objects.filter(host__name=host.name, kind="process").only("spec")
    return {row.pk: (row.stop_signal, float(row.spec.get("stop_timeout", 10))) for row in rows}


if __name__ == "__main__":
    sys.exit(main())
