"""Whatever happens on the way, each event is stored once and reaches whom it concerns: a few of the histories."""

from __future__ import annotations

import pytest

from tests.webhooks.event_histories import play


@pytest.mark.parametrize("number", [1, 2, 7, 13])
def test_every_event_is_stored_once_and_reaches_its_readers(number):
    """More of them: ``python -m tests.webhooks.event_histories``; ``--tell`` says what happens in one."""
    history, wrong = play(number)
    assert wrong is None, f"{history.chances}"
