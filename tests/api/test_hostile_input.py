"""Whatever is sent: never a failure of ours, always a problem with field, cause and remedy, and nothing changed.

Bodies are made from the OpenAPI schema and from what is known to work: one value (or the shape of the whole) is exchanged for
something that nobody would send (:mod:`tests.testlib.hostile`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import given
from hypothesis import strategies as st

from tests.testlib.hostile import EXAMPLES, ODD_TEXTS, junk
from tests.testlib.world import World

from .conftest import Rest
from .test_dry_run import BODIES, database, operations, place, scene

__all__ = ["scene"]
People = Callable[[str], Rest]
RAW = [
    b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"{}{}", b'{"a": 1, "a": 2}', b'"x"', b"[" * 100_000,
    b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    b'{"name": ' + b"9" * 6000 + b"}", b'{"name": NaN}', b'{"name": -Infinity}', b'{"name": "\\ud800\\udc00\\ud800"}', b"\xef\xbb\xbf{}",
    b'{"\\u0000": 1}', b'{"\\ud800": 1}', b'{"name": "' + b"x" * (6 * 2**20) + b'"}',
]  # fmt: skip


def fields() -> dict[str, list[str]]:
    """The fields that the schema names for the body of each write."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    found = {}
    for name, _, _, described in operations():
        body = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        reference = body.get("$ref", "").rpartition("/")[2]
        found[name] = sorted(schema["components"]["schemas"].get(reference, {}).get("properties", {}))
    return found


FIELDS = fields()
WITH_BODY = sorted(name for name, body in BODIES.items() if body is not None)


@st.composite
def bodies(draw: st.DrawFn, name: str) -> bytes:
    """What works for the write *name*, with one thing that does not belong."""
    kind = draw(st.sampled_from(["field", "field", "field", "inside", "unknown", "whole"]))
    body: Any = dict(BODIES[name])
    if kind == "whole":
        body = draw(junk)
    elif kind == "unknown":
        body[draw(st.sampled_from(ODD_TEXTS) | st.text(max_size=20))] = draw(junk)
    else:
        field = draw(st.sampled_from(FIELDS[name] or ["x"]))
        value = draw(junk)
        if kind == "inside":
            value = draw(
                st.sampled_from([[value], [value, value], {"name": value}, [{"network": value}], [{field: value}]])
            )
        body[field] = value
    return json.dumps(body).encode()


def check(answer: Any, what: object) -> None:
    assert answer.status_code < 500 or answer.status_code == 501, (what, answer.content)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", what
        problem = answer.json()
        assert problem["code"], what
        assert problem["detail"], what
        assert problem["remedy"], (what, problem)
        whole = ("object is wanted", "nested too deeply", "'' is not a known field")  # no field of a name is to blame
        if answer.status_code == 400 and problem["code"] == "invalid":
            assert problem.get("field") or any(words in problem["detail"] for words in whole), (what, problem)
        answer.content.decode()


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_that_nobody_would_send(world: World, rest: People, scene: dict[str, str], name: str) -> None:
    call = rest("operator")
    rest("admin")
    call("GET", "me")
    method, path = place(name, scene)
    before = database()

    @EXAMPLES
    @given(body=bodies(name))
    def attempt(body: bytes) -> None:
        with transaction.atomic():
            answer = call(method, path, body, wait=0)
            check(answer, body[:500])
            if answer.status_code >= 400:
                assert database() == before, body[:500]
            transaction.set_rollback(True)

    attempt()


@pytest.mark.parametrize("number", range(len(RAW)))
def test_bytes_that_are_no_request(world: World, rest: People, scene: dict[str, str], number: int) -> None:
    call = rest("operator")
    call("GET", "me")
    before = database()
    for name in WITH_BODY[number % 3 :: 3]:  # each sees a third: what reads a body is one for all
        method, path = place(name, scene)
        with transaction.atomic():
            answer = call(method, path, RAW[number], wait=0)
            check(answer, (name, RAW[number][:80]))
            if answer.status_code >= 400:
                assert database() == before, name
            transaction.set_rollback(True)


REFERENCES = (
    "",
    " ",
    "\0",
    "\ud800",
    "\x1b[2J",
    "é" * 200,
    "😀",
    "x" * 5000,
    "..",
    "/",
    "%s%n",
    "-1",
    "0",
    "9" * 5000,
    "a:b",
    "x=y",
)
PARAMETERS = (
    "q",
    "page",
    "page_size",
    "sort",
    "host",
    "dry_run",
    "force",
    "resolved",
    "timeout",
    "since",
    "epoch",
    "tail",
    "state",
)


@pytest.mark.parametrize("number", range(len(REFERENCES)))
def test_references_and_parameters_that_nobody_would_send(
    world: World, rest: People, scene: dict[str, str], number: int
) -> None:
    call = rest("operator")
    call("GET", "me")
    before = database()
    odd = quote(REFERENCES[number].encode("utf-8", "surrogatepass"), safe="")
    for _, method, path, _ in operations():
        refuses = path
        for open_part in ("{ref}", "{name}", "{port_id}"):
            refuses = refuses.replace(open_part, odd or "%20")
        if refuses != path:
            check(call(method.upper(), refuses, {}, wait=0), (method, refuses))
        if method == "get" and refuses == path:
            for parameter in (*PARAMETERS, odd or "%20"):
                check(call("GET", path, **{parameter: odd}), (path, parameter))
    assert database() == before


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"name": "a", "name": "b"}', "name"),
        (b'{"name": "a", "options": {"x": "1", "y": "2", "x": "3"}}', "x"),
        (b'{"name": "a", "subnets": [{"subnet": "10.5.0.0/24", "subnet": "10.6.0.0/24"}]}', "subnet"),
    ],
)
def test_a_name_that_stands_twice_is_refused_by_name(world: World, rest: People, body: bytes, name: str) -> None:
    call = rest("operator")
    call("GET", "me")
    before = database()
    answer = call("POST", "networks", body)
    assert (answer.status_code, answer.json()["field"]) == (400, name)
    assert repr(name) in answer.json()["detail"]
    assert database() == before
