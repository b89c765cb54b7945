"""What is refused stands beside the field that it is about, in the words of the form, with everything else as it was typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

from networks.models import Container, User
from networks.pages.labels import LABELS
from tests.testlib.world import World

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
FIELD = re.compile(r'{% translate "(?P<label>[^"]+)" as t %}(?:(?!as t %}).)*?{% (?:row_)?field (?P<words>[^%]+)%}')
COLUMN = re.compile(r'(?:"[a-z_]+"|set) number "(\w+)"|"([^"]+)"')


@pytest.fixture
def page(world: World) -> Client:
    client = Client()
    client.force_login(User.objects.create_user(username="olga", password="x", role="operator"))
    return client


def beside(answer: str, field: str) -> str:
    found = re.search(rf'id="f-{re.escape(field)}-error">([^<]*)<', answer)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"ports.0.host_port": "8080"}, "ports.0.container_port", "“Container port” is a whole number"),
        (
            {"ports.0.container_port": "80", "ports.0.host_port": "http"},
            "ports.0.host_port",
            "“Host port” is a whole number",
        ),
        ({"stop_timeout": "--5"}, "stop_timeout", "“Seconds until it is killed” is a whole number"),
        ({"stop_timeout": "soon"}, "stop_timeout", "“Seconds until it is killed” is a whole number"),
        ({"memory": "lots"}, "memory", "“Memory” is a whole number"),
        ({"restart_policy": "on-failure", "max_retries": "x"}, "max_retries", "“Tries at most” is a whole number"),
    ],
)
def test_a_field_is_called_by_its_label(page: Client, typed: dict[str, str], field: str, sentence: str) -> None:
    answer = page.post("/containers/new/", {"step": "preview", "image": "host", **typed})
    text = answer.content.decode()
    assert answer.status_code == 400
    assert sentence in beside(text, field)
    assert f'href="#f-{field}"' in text


def test_labels_of_refusals_are_those_of_the_forms_and_every_number_has_one() -> None:
    labels: dict[str, set[str]] = {}
    numbers: set[str] = set()
    for path in TEMPLATES.rglob("*.html"):
        for found in FIELD.finditer(path.read_text()):
            column = COLUMN.match(found["words"])
            assert column, found[0]
            name = (column[1] or column[2]).rpartition(".")[2]
            labels.setdefault(name, set()).add(found["label"].partition(":")[0])
            if "inputmode" in found["words"]:
                numbers.add(name)
    assert len(numbers) > 10
    assert numbers - {"mtu"} <= LABELS.keys(), "an MTU is refused as text"
    for name in LABELS.keys() & labels.keys():
        assert LABELS[name] in labels[name]


@pytest.mark.parametrize(
    ("url", "typed", "field", "kept"),
    [
        ("/containers/one/?tab=exec", {"command": "echo 'open", "user": "nobody"}, "command", "nobody"),
        ("/containers/one/?tab=terminal", {"command": "sh 'open", "working_dir": "/srv"}, "command", "/srv"),
        ("/containers/one/?tab=captures", {"container": "one", "port": "http", "seconds": "7"}, "port", "7"),
        ("/networks/app/?tab=captures", {"network": "app", "size": "1000", "host": "10.1.2.3"}, "size", "10.1.2.3"),
    ],
)
def test_a_refused_form_of_a_tab_keeps_what_was_typed(
    world: World, page: Client, url: str, typed: dict[str, str], field: str, kept: str
) -> None:
    world.network("app")
    world.container("one")
    Container.objects.update(status="running")
    answer = page.post(url, typed)
    text = answer.content.decode()
    assert answer.status_code == 400
    assert beside(text, field)
    assert f'value="{kept}"' in text
    assert 'role="alert"' in text
