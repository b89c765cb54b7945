"""What differs between two states: objects, their fields in short, and rules."""

from __future__ import annotations

from networks.cnm.changes import changes, rule_changes

WEB = {"name": "web", "state": "running", "pid": 7, "ports": [], "endpoints": []}


def test_what_came_went_and_differs_is_told_and_what_breathes_is_not() -> None:
    before = {"container": {"a": WEB, "b": {**WEB, "name": "b"}, "c": WEB}}
    port = {"host_address": "", "host_port": 80, "container_port": 8080, "protocol": "tcp"}
    after = {"container": {"a": {**WEB, "ports": [port]}, "c": {**WEB, "pid": 9}, "d": {**WEB, "name": "d"}}}
    found = [(one.sign, one.id, one.fields) for one in changes(before, after, ("container",))]
    assert found == [("~", "a", (("ports", "", "*:80 → 8080/tcp"),)), ("-", "b", ()), ("+", "d", ())]


def test_a_host_s_addresses_are_told_as_a_person_would_write_them() -> None:
    before, after = (
        {"host": {"h": {"name": "h", "addresses": pairs}}}
        for pairs in ([], [["eth0", "192.0.2.2/24"], ["lo", "::1/128"]])
    )
    [one] = changes(before, after, ("host",))
    assert one.fields == (("addresses", "", "eth0 192.0.2.2/24, lo ::1/128"),)


def test_drift_that_was_resolved_is_gone_and_resolved_drift_is_no_news() -> None:
    open_, closed = {"text": "rule", "resolved_at": None}, {"text": "rule", "resolved_at": "2030-01-01"}
    assert [one.sign for one in changes({"drift": {"1": open_}}, {"drift": {"1": closed}}, ("drift",))] == ["-"]
    assert changes({}, {"drift": {"1": closed}}, ("drift",)) == ()


def test_of_rules_that_stand_twice_each_counts_and_order_does_not() -> None:
    a, b = (("f", 4, "filter", "C", text, "") for text in ("a", "b"))
    assert rule_changes([a, b], [b, a]) == ([], [])
    assert rule_changes([a], [a, a, b]) == ([a, b], [])
    assert rule_changes([a, a], [a]) == ([], [a])
