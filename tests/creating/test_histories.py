"""Whatever happens on the way, everything is created once: a few of the histories that can be played by hand."""

from __future__ import annotations

import pytest

from tests.creating.histories import play


@pytest.mark.parametrize("number", range(40))
def test_everything_exists_once_in_the_end(number):
    """More of them: ``python -m tests.creating.histories``; ``--tell`` says what happens in one."""
    history, wrong = play(number)
    assert wrong is None, f"{history.chances}"
