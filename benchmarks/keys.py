"""What keys of encrypted networks cost where every host meets every other: the rows of an exchange, and one host's part of it.

    python -m benchmarks.keys [HOSTS]

On SQLite in a folder that vanishes; no kernel, no root. The database by wall time, for who writes keeps others from writing; compile and
diff by processor time.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

T = TypeVar("T")


def timed(name: str, work: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> T:
    begun = clock()
    result = work()
    print(f"{name:<58}{(clock() - begun) * 1000:>10,.1f} ms", flush=True)
    return result


def main(count: int = 100) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from benchmarks import scale
    from networks import associations, feed
    from networks.cnm.desired import Association, Host
    from networks.cnm.options import NetworkOptions
    from networks.cnm.resources import XfrmState
    from networks.models import Host as HostRow
    from networks.models import SecurityAssociation
    from worker.compile import compile_host
    from worker.diff import diff

    call_command("migrate", verbosity=0)
    rows = HostRow.objects.bulk_create([HostRow(name=f"h{number}") for number in range(count)])
    pairs = [(one.pk, other.pk) for one in rows for other in rows if one is not other]
    print(f"{count} hosts that all meet: {len(pairs):,} directions\n")
    with feed.transaction("benchmark"):
        timed("all keys are made, sealed and written", lambda: associations._make(pairs))
    SecurityAssociation.objects.update(held_at=timezone.now(), begun_at=timezone.now(), used_at=timezone.now())
    with feed.transaction("benchmark"):
        timed("an exchange of all keys begins", associations.rotate)
    mine = SecurityAssociation.objects.filter(receiver=rows[0], held_at=None).values_list("pk", flat=True)
    with feed.transaction("benchmark"):
        timed(
            "one host says which ones it holds",
            lambda: associations.confirm(rows[0], receives=set(mine), sends=set(), keeps=set()),
        )
    timed("one host looks whether its keys need care", lambda: associations.tend(rows[0]))

    nets = tuple(scale.network(number, count) for number in range(count))
    nets = tuple(replace(net, options=replace(net.options, encrypted=True)) for net in nets)
    own = tuple(scale.own(number, count) for number in range(100))
    others = tuple(scale.remote(number, 100, count) for number in range(100, count * 100))

    def known(used: bool) -> tuple[Association, ...]:
        found = []
        for number in range(1, count):
            for way, (sender, receiver) in enumerate((("h", f"h{number}"), (f"h{number}", "h"))):
                made = Association(
                    id=2 * number + way,
                    sender=sender,
                    receiver=receiver,
                    fingerprint="f",
                    sealed="s",
                    held=True,
                    used=True,
                )
                found.append(made)
                found += [replace(made, id=made.id + 100_000, held=used, used=False)] if used else []
        return tuple(found)

    host = Host(id="h", networks=nets, containers=own, remotes=others, associations=known(False))
    before = compile_host(host, scale.FACTS)
    after = timed(
        "compile on one host, 100 containers and networks each",
        lambda: compile_host(replace(host, associations=known(True)), scale.FACTS),
        time.process_time,
    )
    clear = replace(host, networks=tuple(replace(net, options=NetworkOptions()) for net in nets), associations=())
    timed("the same of networks in the clear", lambda: compile_host(clear, scale.FACTS), time.process_time)
    plan = timed("diff", lambda: diff(after, before), time.process_time)
    print(f"\n{'states on a host':<58}{sum(isinstance(item, XfrmState) for item in before):>10,}")
    print(f"{'steps while it takes in, and sends by, all new ones':<58}{len(plan):>10,}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="cnm-keys-") as folder:
        os.environ |= {
            "CNM_STATE_DIR": folder,
            "CNM_RUN_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "cnmweb.settings",
        }
        main(*map(int, sys.argv[1:]))
