"""A fleet gets its plan whatever has befallen it: a few of the histories that can be played by hand."""

from __future__ import annotations

import pytest

from tests.store.limit_histories import play


@pytest.mark.parametrize("number", range(4))
def test_all_get_their_share_of_the_plan_again(number):
    """More of them: ``python -m tests.store.limit_histories``."""
    history, wrong = play(number, [60, 100])
    assert wrong is None, f"{history.chances}"
