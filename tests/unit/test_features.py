"""Features of the kernel that could not be found out are neither there nor missing, and are looked for again."""

from __future__ import annotations

import pytest

from networks.cnm.facts import Feature, HostFacts
from worker.drivers.base import lacks
from worker.facts import features


def state(found: tuple[Feature, ...]) -> set[bool | None]:
    return {feature.present for feature in found if feature.key.startswith(("link.", "esp"))}


def test_a_probe_that_takes_too_long_says_that_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "PROBE_TIMEOUT_S", 0)
    look = features.Features()
    found = look()
    assert state(found) == {None}
    unknown = next(feature for feature in found if feature.key == "link.vxlan")
    assert "could not be found out" in str(unknown.detail)
    assert Feature.from_json(unknown.to_json()) == unknown
    assert lacks(HostFacts(features=found), "link.vxlan", "driver") is None, "nothing is refused for it"
    monkeypatch.setattr(features, "PROBE_TIMEOUT_S", 20)
    assert state(look()) == {None}, "not at once: each try may take as long"
    monkeypatch.setattr(features, "AGAIN_S", 0)
    again = features.Features()
    monkeypatch.setattr(features, "PROBE_TIMEOUT_S", 0)
    again()
    monkeypatch.setattr(features, "PROBE_TIMEOUT_S", 20)
    assert None not in state(again())
