"""System checks name what is missing, with the remedy."""

from __future__ import annotations

from typing import Any

from django.core.checks import run_checks

from tests.testlib.world import World


def test_each_missing_feature_of_the_host_is_a_warning_with_its_remedy(world: World) -> None:
    world.host.facts = {
        "features": [
            {"key": "esp", "present": False, "detail": "No IPsec ESP.", "remedy": "Use another kernel."},
            {"key": "link.veth", "present": True, "detail": "", "remedy": ""},
        ]
    }
    world.host.save()
    found = [(item.id, item.msg, item.hint) for item in run_checks(databases=["default"]) if item.id == "cnm.W001"]
    assert found == [("cnm.W001", "esp: No IPsec ESP.", "Use another kernel.")]


def test_a_state_folder_with_a_colon_is_an_error(settings: Any) -> None:
    settings.STATE_DIR = "/var/lib/a:b"
    assert "cnm.E001" in {item.id for item in run_checks()}
