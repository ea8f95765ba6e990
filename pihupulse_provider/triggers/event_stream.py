"""The events of an inbox as a stream that goes on where its consumer's cursor is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Hashable
from dataclasses import astuple, dataclass
from typing import Literal

from pihupulse_provider.api import clock
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.hooks.webhooks import EventSource, poller
from pihupulse_provider.store.cursors import Cursor, CursorMovedError
from pihupulse_provider.store.inbox import EventFilter, InboxEvent
from pihupulse_provider.triggers.accounts import loaded_hook
from pihupulse_provider.waiting.inbox_tail import InboxReader, InboxTail, shared_tail

Start = Literal["earliest", "latest"]
log = logging.getLogger(__name__)
_CURSOR_SECONDS = 1.0
"""How often somebody else's setting of the cursor is noticed."""


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
    """Reads the inbox in its order, from the consumer's cursor on.

    It outlives a store or a PihuPulse that can't be reached, and follows a cursor that is set back for a replay.
    """

    def __init__(self, terms: StreamTerms) -> None:
        self._terms = terms
        self._wanted = EventFilter(connection=terms.pihupulse_conn_id, events=terms.events)
        self._committed: int | None = None
        self._cursor_in_use = asyncio.Lock()
        self._polling_fails = False

    async def entries(self) -> AsyncIterator[InboxEvent | None]:
        """Yield each event, and None once a second while there is none."""
        tail = shared_tail((await loaded_hook(self._terms.pihupulse_conn_id)).store)
        while True:
            async with self._cursor_in_use:
                self._committed = await self._cursor_position(tail)
            async with tail.reading(self._wanted, self._committed) as reader:
                async for entry in self._until_moved(tail, reader):
                    yield entry

    async def commit(self, position: int) -> None:
        """Move the cursor to where everything has been taken care of.

        :raises StoreError: if the store can't be written.
        """
        cursor = self._cursor(await loaded_hook(self._terms.pihupulse_conn_id))
        async with self._cursor_in_use:
            if self._committed is None or position <= self._committed:
                return
            try:
                await asyncio.to_thread(cursor.commit, self._committed, position)
            except CursorMovedError:
                log.info("The cursor of %s was set anew; what was read before is left to it.", self._terms.consumer)
            else:
                self._committed = position

    async def _until_moved(self, tail: InboxTail, reader: InboxReader) -> AsyncIterator[InboxEvent | None]:
        """Yield events until somebody else has set the cursor."""
        while not await self._is_moved(tail):
            if self._terms.source == "polling":
                await self._poll()
            ends_at = clock.now() + _CURSOR_SECONDS
            while (left := ends_at - clock.now()) > 0:
                for entry in await reader.read(left):
                    yield entry
            yield None

    async def _is_moved(self, tail: InboxTail) -> bool:
        async with self._cursor_in_use:
            return await self._cursor_position(tail) != self._committed

    async def _cursor_position(self, tail: InboxTail) -> int:
        cursor = self._cursor(await loaded_hook(self._terms.pihupulse_conn_id))
        default = await tail.insist(tail.inbox.head) if self._terms.start == "latest" else 0
        return await tail.insist(lambda: cursor.position(default))

    async def _poll(self) -> None:
        try:
            hook = await loaded_hook(self._terms.pihupulse_conn_id)
            await asyncio.to_thread(poller(hook).poll, self._terms.events, every=self._terms.poll_interval)
        except PihuPulseError as error:
            level = logging.DEBUG if self._polling_fails else logging.WARNING
            log.log(level, "A poll of PihuPulse failed, and is made up for later: %s", error)
            self._polling_fails = True
        else:
            self._polling_fails = False

    def _cursor(self, hook: PihuPulseHook) -> Cursor:
        return Cursor(hook.store, self._terms.pihupulse_conn_id, self._terms.consumer)
