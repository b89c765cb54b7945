"""Signals by name."""

from __future__ import annotations

import signal

import pytest

from networks.cnm.errors import CnmError
from networks.services.spec_container import read_signal
from worker.runtime.signals import signal_number


@pytest.mark.parametrize(
    ("given", "name", "number"),
    [
        ("term", "SIGTERM", signal.SIGTERM),
        ("9", "SIGKILL", signal.SIGKILL),
        ("SIGRTMIN+3", "SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("rtmax-14", "SIGRTMAX-14", signal.SIGRTMAX - 14),
        (str(signal.SIGRTMIN + 3), "SIGRTMIN+3", signal.SIGRTMIN + 3),
    ],
)
def test_signals_are_known_by_name_and_by_number(given: str, name: str, number: int) -> None:
    assert read_signal("signal", given) == name
    assert signal_number(name) == signal_number(given) == number


@pytest.mark.parametrize("given", ["0", "SIGRTMIN+16", "RTMIN+", "65", "SIGNONE"])
def test_what_is_no_signal_is_refused(given: str) -> None:
    with pytest.raises(CnmError):
        read_signal("signal", given)
    with pytest.raises(CnmError):
        signal_number(given)
