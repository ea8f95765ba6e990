"""Webhooks as news for the poller: a completed screening is known within a second of its delivery."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from pihupulse_provider.api.events import SCREENING_COMPLETED
from pihupulse_provider.store.inbox import EventFilter, Inbox, InboxEvent
from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot
from pihupulse_provider.waiting.statuses import SUCCEEDED

_LOOK_BACK = 60.0
"""Seconds: what was delivered before is no news, for the poller looks at every screening when its wait begins."""


class InboxFeed:
    """The completed screenings in the inbox of a connection, from a minute before the first reading on."""

    def __init__(self, inbox: Inbox, connection: str) -> None:
        self._inbox = inbox
        self._wanted = EventFilter(connection=connection, events=(SCREENING_COMPLETED,))
        self._position: int | None = None

    async def read(self) -> Sequence[ScreeningSnapshot]:
        """Return what came since the last call.

        :raises StoreError: when the inbox can't be read now.
        """
        if self._position is None:
            self._position = await asyncio.to_thread(self._inbox.position_at, time.time() - _LOOK_BACK)
        batch = await asyncio.to_thread(self._inbox.read, self._wanted, after=self._position)
        self._position = batch.end
        return [snapshot for snapshot in map(_snapshot, batch.events) if snapshot is not None]


def _snapshot(entry: InboxEvent) -> ScreeningSnapshot | None:
    told = entry.event.public()
    if told["screening_id"] is None:
        return None
    return ScreeningSnapshot(
        told["screening_id"], told["candidate_id"], SUCCEEDED[0], told["score"], told["completed_at"]
    )
