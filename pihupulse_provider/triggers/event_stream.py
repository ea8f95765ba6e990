"""The events of an inbox as a stream that goes on where its consumer's cursor is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Hashable
from dataclasses import astuple, dataclass
from typing import Literal

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.hooks.webhooks import EventSource, poller
from pihupulse_provider.store.cursors import Cursor, CursorMovedError
from pihupulse_provider.store.inbox import EventFilter, Inbox, InboxEvent
from pihupulse_provider.triggers.accounts import loaded_hook
from pihupulse_provider.waiting.feed import LOOK_SECONDS

Start = Literal["earliest", "latest"]
log = logging.getLogger(__name__)
_CURSOR_SECONDS = 1.0
"""How often it is looked whether somebody else has set the cursor."""


@dataclass(frozen=True)
class StreamTerms:
    """What a stream reads; see :class:`~pihupulse_provider.triggers.event.PihuPulseEventTrigger`."""

    pihupulse_conn_id: str
    consumer: str
    events: tuple[str, ...]
    start: Start
    source: EventSource
    poll_interval: float

    def key(self) -> Hashable:
        """Return what makes two streams the same."""
        return ("pihupulse", *astuple(self))


class EventStream:
    """Reads the inbox a few times a second, in its order, from the consumer's cursor on.

    It outlives a store or a PihuPulse that can't be reached, and follows a cursor that is set back for a replay.
    """

    def __init__(self, terms: StreamTerms) -> None:
        self._terms = terms
        self._wanted = EventFilter(connection=terms.pihupulse_conn_id, events=terms.events)
        self._committed: int | None = None
        self._position = 0
        self._cursor_read_at = float("-inf")
        self._failing = False

    async def entries(self) -> AsyncIterator[InboxEvent | None]:
        """Yield each event, and None whenever there is none for now."""
        while True:
            for entry in await self._round():
                yield entry
            yield None
            await asyncio.sleep(LOOK_SECONDS)

    async def commit(self, position: int) -> None:
        """Move the cursor to where everything has been taken care of.

        :raises StoreError: if the store can't be written.
        """
        if self._committed is None or position <= self._committed:
            return
        cursor = (await self._places())[1]
        try:
            await asyncio.to_thread(cursor.commit, self._committed, position)
        except CursorMovedError:
            log.info("The cursor of %s was set anew; what was read before is left to it.", self._terms.consumer)
        else:
            self._committed = position

    async def _round(self) -> list[InboxEvent]:
        try:
            events = await self._read()
        except PihuPulseError as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING, "No events can be read for now: %s", error)
            self._failing = True
            return []
        self._failing = False
        return events

    async def _read(self) -> list[InboxEvent]:
        inbox, cursor = await self._places()
        if self._terms.source == "polling":
            await self._poll()
        if time.monotonic() - self._cursor_read_at >= _CURSOR_SECONDS:
            await self._read_cursor(inbox, cursor)
        batch = await asyncio.to_thread(inbox.read, self._wanted, after=self._position)
        self._position = batch.end
        return batch.events

    async def _read_cursor(self, inbox: Inbox, cursor: Cursor) -> None:
        default = await asyncio.to_thread(inbox.head) if self._terms.start == "latest" else 0
        position = await asyncio.to_thread(cursor.position, default)
        if position != self._committed:
            self._committed = self._position = position
        self._cursor_read_at = time.monotonic()

    async def _poll(self) -> None:
        hook = await loaded_hook(self._terms.pihupulse_conn_id)
        await asyncio.to_thread(poller(hook).poll, self._terms.events, every=self._terms.poll_interval)

    async def _places(self) -> tuple[Inbox, Cursor]:
        hook = await loaded_hook(self._terms.pihupulse_conn_id)
        return Inbox(hook.store), Cursor(hook.store, self._terms.pihupulse_conn_id, self._terms.consumer)
