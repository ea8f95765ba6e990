"""What the triggers' tests share."""

from __future__ import annotations

from itertools import count

import pytest

from pihupulse_provider.hooks import settings
from pihupulse_provider.store.inbox import Inbox
from tests.webhooks.inboxes import cursor_of

numbers = count(1)


@pytest.fixture
def consumer(pihupulse_sandbox):
    """A consumer that has read all that other tests left."""
    name = f"consumer-{next(numbers)}"
    cursor_of(name).seek(Inbox(settings.store()).head())
    return name
