"""Whatever happens on the way, waits end as they should: a few of the histories that can be played by hand."""

from __future__ import annotations

import pytest

from tests.waiting.histories import play


@pytest.mark.parametrize("number", range(20))
def test_every_wait_ends_as_what_it_waited_for_says(number):
    """More of them: ``python -m tests.waiting.histories``; ``--tell`` says what happens in one."""
    history, wrong = play(number)
    assert wrong is None, f"{history.chances}"
