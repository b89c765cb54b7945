"""The runtime's refusals, in words for people."""

from __future__ import annotations

import pytest

from networks.cnm.desired import ProcessSpec
from networks.cnm.errors import InvalidSpec, KernelRefused
from networks.cnm.resources import Process
from worker.runtime.words import refusal

PROCESS = Process(container_id="a" * 64, run="1.0", name="web", process=ProcessSpec(image="alpine:3"))


@pytest.mark.parametrize(
    "words",
    [
        "executable file `nosuch` not found in $PATH: No such file or directory",
        'exec: "nosuch": executable file not found in $PATH',
        'runc create failed: exec: "nosuch": stat nosuch: no such file or directory',
    ],
)
def test_a_missing_command_is_named_with_its_image(words: str) -> None:
    error = refusal(words, PROCESS, "nosuch")
    assert isinstance(error, InvalidSpec)
    assert str(error.sentence) == "The command nosuch does not exist in image alpine:3."
    assert error.field == "command"


def test_a_file_that_is_no_program_is_named() -> None:
    error = refusal("exec: permission denied", PROCESS, "/etc/passwd")
    assert str(error.sentence) == "The command /etc/passwd of image alpine:3 may not be executed."


def test_other_words_are_passed_on() -> None:
    error = refusal("cgroups in hybrid mode not supported", PROCESS, "sh")
    assert isinstance(error, KernelRefused)
    assert "did not start web: cgroups in hybrid mode not supported." in str(error.sentence)
