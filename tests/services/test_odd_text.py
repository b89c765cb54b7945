"""What programs print and containers write is kept, whatever it is made of; what people ask for is refused where it has no room."""

from __future__ import annotations

import pytest
from django.db import models

from networks.cnm.errors import InvalidSpec
from networks.models import Activity, Image, Operation
from networks.models.document import Document
from networks.services import drift, images
from tests.testlib.world import OPERATOR, World

ODD = 'NUL \0, half of a pair \ud83d, a whole one \N{PENGUIN}, and "\\u0000" in letters'
KEPT = 'NUL \ufffd, half of a pair \ufffd, a whole one \N{PENGUIN}, and "\\u0000" in letters'


def test_what_a_command_printed_is_kept(world: World) -> None:
    outcome = drift.look(OPERATOR, world.host)
    operation = outcome.operation
    assert operation is not None
    operation.result = {"stdout": ODD, "more": [ODD, {ODD: 1}]}
    operation.save()
    operation.refresh_from_db()
    assert operation.result == {"stdout": KEPT, "more": [KEPT, {KEPT: 1}]}


def test_the_longest_name_of_an_image_stands_in_the_log(world: World) -> None:
    name = "team/" + "a" * (images.LONGEST_NAME - len("team/") - len(":1")) + ":1"
    images.import_image(OPERATOR, world.host, name, "docker://example.net/a:1")
    assert Image.objects.get(name=name)
    assert Operation.objects.get(verb="image.import").subject_name == name
    assert Activity.objects.get(verb="image.import").subject_name == name
    with pytest.raises(InvalidSpec):
        images.import_image(OPERATOR, world.host, f"a{name}", "docker://example.net/a:1")


def test_every_json_value_of_ours_is_kept_so() -> None:
    from django.apps import apps

    fields = [field for model in apps.get_app_config("networks").get_models() for field in model._meta.local_fields]
    documents = [field for field in fields if isinstance(field, models.JSONField)]
    assert documents
    assert all(isinstance(field, Document) for field in documents)
