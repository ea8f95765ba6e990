"""Fixtures for the receiver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import EventFilter, Inbox, InboxEvent
from tests.webhooks.running import receiving


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of its own."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield store
    store.dispose()


@pytest.fixture
def inbox(store: Store) -> Inbox:
    """Its inbox."""
    return Inbox(store)


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    """Where a running receiver takes deliveries."""
    with receiving(store) as url:
        yield url


def stored(inbox: Inbox) -> list[InboxEvent]:
    """Return everything in the inbox."""
    return inbox.read_all(EventFilter()).events
