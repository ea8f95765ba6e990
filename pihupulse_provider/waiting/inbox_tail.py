"""Follows an inbox for everybody who listens in an event loop: waits, the shared poller and asset triggers.

A worked example. The inbox ends at position 40, and a reader begins after position 30. The tail is at 40 and reads on
five times a second; the reader reads 31 to 40 itself, once, and is handed 41 when it comes. So a thousand readers cost
a thousand first reads, and from then on one read for all of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from pihupulse_provider.api.events import SCREENING_COMPLETED
from pihupulse_provider.api.logs import OutageLog
from pihupulse_provider.store.engine import Store, StoreError
from pihupulse_provider.store.inbox import PAGE, Batch, EventFilter, Inbox, InboxEvent
from pihupulse_provider.waiting.per_loop import PerLoop, in_background
from pihupulse_provider.waiting.wait_spec import SUCCEEDED
from pihupulse_provider.waiting.wait_state import ScreeningSnapshot

log = logging.getLogger(__name__)
READ_SECONDS = 0.2
"""How often the inbox is read. On SQLite that takes a few hundred microseconds."""
_AWAY_SECONDS = 5.0
"""How soon whoever listens hears that the inbox can't be read."""
_LOOK_BACK = 600.0
"""Seconds that whoever begins looks back: there may have been no triggerer, or none that could read the inbox."""
_EVERYTHING = EventFilter()
Result = TypeVar("Result")


class InboxTail:
    """Follows an inbox while anybody reads it; while it can't be read, it goes on trying.

    :ivar position: up to where it was read. ``outage``: says whether the last read of the inbox failed.
    """

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.position = 0
        self._readers: list[InboxReader] = []
        self._following = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self.outage = OutageLog(log)

    @asynccontextmanager
    async def reading(self, wanted: EventFilter, after: int = 0) -> AsyncIterator[InboxReader]:
        """Read what is wanted past a position, for as long as the context lasts."""
        reader = InboxReader(self, wanted, after)
        self._readers.append(reader)
        if self._runner is None:
            self._runner = in_background(self._follow())
        try:
            await self._following.wait()
            reader.begin()
            yield reader
        finally:
            self._readers.remove(reader)
            reader.end()

    async def insist(self, read: Callable[[], Result]) -> Result:
        """Return what a read of the inbox gives, as soon as it can be read."""
        while True:
            try:
                result = await asyncio.to_thread(read)
            except StoreError as error:
                self.outage.failed("The inbox can't be read now, and is tried again until it can: %s", error)
                await asyncio.sleep(READ_SECONDS)
            else:
                self.outage.recovered("The inbox can be read again.")
                return result

    async def _follow(self) -> None:
        try:
            self.position = await self.insist(self.inbox.head)
            self._following.set()
            while self._readers:
                await asyncio.sleep(READ_SECONDS)
                batch = await self.insist(partial(self.inbox.read, _EVERYTHING, after=self.position))
                is_behind, self.position = batch.end < self.position, batch.end
                for reader in self._readers:
                    if is_behind:
                        reader.go_back()
                    reader.hear(batch.events)
        finally:
            self._following.clear()
            self._runner = None


class InboxReader:
    """Reads what is wanted of an inbox, in its order.

    :ivar position: up to where all that is wanted was returned.
    """

    def __init__(self, tail: InboxTail, wanted: EventFilter, position: int) -> None:
        self.position = position
        self._returned = position
        self._backlog: asyncio.Task[Batch] | None = None
        self._tail = tail
        self._wanted = wanted
        self._heard: list[InboxEvent] | None = None
        self._heard_from = 0
        self._arrival = asyncio.Event()

    def begin(self) -> None:
        """Hear from now on; what came before is read when it is asked for."""
        self._heard, self._heard_from = [], max(self._tail.position, self.position)

    def go_back(self) -> None:
        """Go on past what was returned, or from the tail if that is behind it: another store has set it back."""
        self.position = min(self._returned, self._tail.position)
        self._backlog = None
        self.begin()
        self._arrival.set()

    def end(self) -> None:
        """Read no further."""
        if self._backlog is not None:
            self._backlog.cancel()

    def hear(self, events: list[InboxEvent]) -> None:
        """Take what came into the inbox."""
        if self._heard is None:
            return
        # The tail may be behind where the reader began.
        later = (event for event in events if event.position > self._heard_from)
        self._heard += [event for event in later if self._wanted.matches(event)]
        if len(self._heard) > PAGE:
            # Whoever is slow reads it again later, so that it need not be kept until then.
            self.begin()
        if self._heard or self._heard_from > self.position:
            self._arrival.set()

    async def read(self, seconds: float | None = None, limit: int = PAGE) -> list[InboxEvent]:
        """Return the next events; none after so many seconds without any.

        :param seconds: None to wait for ever. ``limit``: how many events at most.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (events := await self._next(limit)):
                    self._arrival.clear()
                    await self._arrival.wait()
                self._returned = self.position
                return events
        return []

    async def _next(self, limit: int) -> list[InboxEvent]:
        while self.position < self._heard_from:
            if self._backlog is None:
                until = self._heard_from
                read = partial(self._tail.inbox.read, self._wanted, after=self.position, until=until, limit=limit)
                self._backlog = asyncio.create_task(self._tail.insist(read))
            # It goes on when the time is over: else one that takes longer than that would never be done.
            batch = await asyncio.shield(backlog := self._backlog)
            if self._backlog is not backlog:
                continue
            self._backlog, self.position = None, batch.end
            if batch.events:
                return batch.events
        heard = self._heard or []
        events, self._heard = heard[:limit], heard[limit:]
        if events:
            self.position = self._heard_from = events[-1].position
        return events


_tails: PerLoop[InboxTail] = PerLoop()


def shared_tail(store: Store) -> InboxTail:
    """Return the running event loop's one tail of a store's inbox."""
    return _tails.get(store, lambda: InboxTail(Inbox(store)))


async def completed_screenings(tail: InboxTail, connection: str) -> AsyncIterator[list[ScreeningSnapshot] | None]:
    """Yield the screenings that webhooks of a connection say are completed, from ten minutes ago on.

    It yields None each time that nothing has come for a while and the inbox can't be read.
    """
    after = await tail.insist(lambda: tail.inbox.position_before(_LOOK_BACK))
    async with tail.reading(EventFilter(connection=connection, events=(SCREENING_COMPLETED,)), after) as reader:
        while True:
            events = await reader.read(seconds=_AWAY_SECONDS)
            if events or tail.outage.is_failing:
                yield [one for one in map(_snapshot, events) if one is not None] if events else None


def _snapshot(entry: InboxEvent) -> ScreeningSnapshot | None:
    event = entry.event.public()
    if event["screening_id"] is None:
        return None
    return ScreeningSnapshot(
        event["screening_id"], event["candidate_id"], SUCCEEDED[0], event["score"], event["completed_at"]
    )
