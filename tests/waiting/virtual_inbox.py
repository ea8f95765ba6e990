"""An inbox in memory, and what a process sees of it, whose store is away at times."""

from __future__ import annotations

import json
from typing import Any

from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.inbox import PAGE, Batch, InboxEvent


class InboxView:
    """The inbox as a process has it; it stands for the store, too."""

    def __init__(self, history: Any, process: Any) -> None:
        self._history, self._process = history, process

    def head(self):
        return len(self._events())

    def read(self, wanted, *, after=0, until=None, limit=PAGE):
        last = self.head() if until is None else until
        found = [event for event in self._events()[after:last] if wanted.matches(event)][:limit]
        return Batch(found, found[-1].position if len(found) == limit else last)

    def position_before(self, seconds):
        moment = self._history.store_now() - seconds
        return next((one.position - 1 for one in self._events() if one.received_at >= moment), self.head())

    def _events(self) -> list[InboxEvent]:
        if self._history.is_store_away(self._process):
            raise StoreError("The store is away")
        return self._history.inbox


def receive(history, connection, screening, event="screening.completed"):
    """Store an event as the receiver does."""
    body = json.dumps({"event": event, "data": screening}).encode()
    if all(one.body != body for one in history.inbox):
        history.inbox.append(InboxEvent(len(history.inbox) + 1, connection, history.store_now(), body))
