"""Programs that read rules: a look gives way while one runs."""

from __future__ import annotations

import time

import pytest

from networks.cnm.errors import Unsupported
from worker.firewall.programs import run_program
from worker.patience import in_passing

LATE = "Wait."


def test_what_it_is_given_and_prints_passes_whatever_time_it_takes() -> None:
    words = "more than a pipe holds\n" * 50_000
    done = run_program(["sh", "-c", "sleep 0.1; cat; exit 3"], words, package="coreutils", when_late=LATE)
    assert (done.stdout, done.returncode) == (words, 3)


def test_a_look_whose_program_runs_gives_way_at_once() -> None:
    served: list[float] = []
    begun = time.monotonic()
    programs = iter([["sleep", "60"], ["true"]])

    in_passing(
        lambda: run_program(next(programs), package="coreutils", when_late=LATE),
        lambda: not served and time.monotonic() - begun > 0.05,
        lambda: served.append(time.monotonic()),
    )

    assert len(served) == 1
    assert next(programs, None) is None  # it was begun anew
    assert served[0] - begun < 50  # and no such program ran to its end


def test_a_program_that_is_missing_is_named_with_its_package() -> None:
    with pytest.raises(Unsupported, match="no-such-program is not installed"):
        run_program(["no-such-program"], package="nothing", when_late=LATE)
