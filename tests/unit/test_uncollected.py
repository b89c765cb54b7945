"""While many things are made that stay, no garbage is looked for; and after them it always is again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from networks.uncollected import uncollected


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_nothing_is_collected_inside_and_everything_after_though_it_fails() -> None:
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), uncollected():
        1 / 0  # noqa: B018
    assert gc.isenabled()


def test_one_that_began_later_does_not_prolong_it() -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(uncollected())
    second.enter_context(uncollected())
    first.close()
    assert gc.isenabled(), "whoever comes one upon the other would let garbage grow for ever"
    second.close()
    assert gc.isenabled()


def test_where_it_rests_already_it_goes_on_resting() -> None:
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()
