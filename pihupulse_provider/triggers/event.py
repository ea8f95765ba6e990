"""The triggers on events: one that ends a task's wait, and one that makes asset events."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Iterable, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from pihupulse_provider.api import clock
from pihupulse_provider.api.clock import seconds
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.api.events import check_events
from pihupulse_provider.api.logs import OutageLog
from pihupulse_provider.connection_form import DEFAULT_CONN_ID
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.hooks.webhooks import EventSource, Start, check_reading, why_none_is_received
from pihupulse_provider.store.cursors import Cursor, CursorMovedError, check_consumer
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.inbox import EventFilter, InboxEvent
from pihupulse_provider.triggers.base import loaded_hook, poll_events
from pihupulse_provider.waiting.inbox_tail import InboxReader, InboxTail, shared_tail

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

log = logging.getLogger(__name__)
_CURSOR_SECONDS = 1.0
"""How often somebody else's setting of the cursor is noticed."""


class NotAcknowledgedError(PihuPulseError):
    """Airflow did not store an asset event in time: the stream ends, and begins again with that event."""


class EventStream:
    """Reads the inbox in its order, from the consumer's cursor on.

    It outlives a store or a PihuPulse that can't be reached, and follows a cursor that is set back for a replay.

    :param trigger: says what is read.
    :ivar reading: how often it began to read from the cursor, which is anew each time that somebody else has set it.
    """

    def __init__(self, trigger: PihuPulseEventTrigger) -> None:
        self._trigger = trigger
        self._wanted = EventFilter(connection=trigger.pihupulse_conn_id, events=tuple(trigger.events))
        self._committed: int | None = None
        self.reading = 0
        self._cursor_in_use = asyncio.Lock()
        self._outage = OutageLog(log)
        self._stuck = OutageLog(log)

    async def entries(self) -> AsyncGenerator[InboxEvent | None, None]:
        """Yield each event, and None once a second while there is none."""
        tail = shared_tail((await loaded_hook(self._trigger.pihupulse_conn_id)).store)
        if self._trigger.source == "webhooks" and (problem := why_none_is_received(self._trigger.pihupulse_conn_id)):
            log.warning("%s", problem)
        polling = asyncio.create_task(self._keep_polling())
        try:
            while True:
                async with self._cursor_in_use:
                    self._committed = await self._cursor_position(tail)
                    self.reading += 1
                async with tail.reading(self._wanted, self._committed) as reader:
                    async for entry in self._until_moved(tail, reader):
                        yield entry
                        if polling.done():
                            polling.result()
        finally:
            polling.cancel()

    async def open_stream(self) -> AsyncIterator[tuple[InboxEvent, tuple[int, int]]]:
        """Yield each event with its position and the reading that it comes from (Airflow 3.3)."""
        async with aclosing(self.entries()) as entries:
            async for entry in entries:
                if entry is not None:
                    yield entry, (entry.position, self.reading)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Move the cursor past the events that Airflow has stored (Airflow 3.3).

        :raises NotAcknowledgedError: if it has not stored all of them.
        """
        clean = list(takewhile(lambda item: item.outcome.is_clean, batch))
        if clean:
            await self.commit(*clean[-1].broker_payload)
        if len(clean) < len(batch):
            raise NotAcknowledgedError(
                f"The event at position {batch[len(clean)].broker_payload[0]} was not stored as asset event."
            )

    async def commit(self, position: int, reading: int) -> None:
        """Move the cursor to where everything has been taken care of that was read since it was set.

        While the store can't be written, it goes on trying.

        :param reading: the one in which the event at that position was yielded.
        """
        cursor = self._cursor(await loaded_hook(self._trigger.pihupulse_conn_id))
        async with self._cursor_in_use:
            if reading != self.reading or self._committed is None or position <= self._committed:
                return
            try:
                await self._move(partial(cursor.commit, self._committed, position))
            except CursorMovedError:
                log.info("The cursor of %s was set anew; what was read before is left to it.", self._trigger.consumer)
            else:
                self._committed = position

    async def _move(self, commit: Callable[[], None]) -> None:
        """Commit as soon as the store can be written: a full disk, for one, can be read."""
        while True:
            try:
                await asyncio.to_thread(commit)
            except StoreError as error:
                self._stuck.failed("The cursor can't be moved now, and is tried again until it can: %s", error)
                await asyncio.sleep(_CURSOR_SECONDS)
            else:
                self._stuck.recovered("The cursor can be moved again.")
                return

    async def _until_moved(self, tail: InboxTail, reader: InboxReader) -> AsyncIterator[InboxEvent | None]:
        """Yield events until somebody else has set the cursor."""
        while not await self._is_moved(tail):
            ends_at = clock.now() + _CURSOR_SECONDS
            while (left := ends_at - clock.now()) > 0:
                for entry in await reader.read(left):
                    yield entry
            yield None

    async def _is_moved(self, tail: InboxTail) -> bool:
        async with self._cursor_in_use:
            return await self._cursor_position(tail) != self._committed

    async def _cursor_position(self, tail: InboxTail) -> int:
        cursor = self._cursor(await loaded_hook(self._trigger.pihupulse_conn_id))
        default = await tail.insist(tail.inbox.head) if self._trigger.start == "latest" else 0
        return await tail.insist(lambda: cursor.position(default))

    async def _keep_polling(self) -> None:
        """Poll, if that is where events come from, while those that are there are yielded."""
        while self._trigger.source == "polling":
            try:
                hook = await loaded_hook(self._trigger.pihupulse_conn_id)
                await poll_events(hook, self._trigger.events, every=self._trigger.poll_interval)
            except PihuPulseError as error:
                self._outage.failed("A poll of PihuPulse failed, and is made up for later: %s", error)
            else:
                self._outage.recovered("PihuPulse can be polled again.")
            await asyncio.sleep(_CURSOR_SECONDS)

    def _cursor(self, hook: PihuPulseHook) -> Cursor:
        return Cursor(hook.store, self._trigger.pihupulse_conn_id, self._trigger.consumer)


_STORED_WITHIN = 5.0
"""Seconds within which Airflow before 3.3 is trusted to have stored an asset event; it does not tell."""


class PihuPulseEventTrigger(BaseEventTrigger):
    """Makes an asset event of each event, for an ``AssetWatcher``.

    The payload says what happened to which ids, with status and score. Airflow may start one DAG run for several of
    them, so a run should read its events with
    :class:`~pihupulse_provider.operators.events.PihuPulseReadEventsOperator`.

    Each event comes once and in order; after a triggerer was killed, those of its last seconds may come again.

    :param events: the names of the events; all if empty.
    :param consumer: the name of its cursor; by default one for each choice of events.
    :param start: where a new consumer begins: with the ``"earliest"`` event that is still kept, or the ``"latest"``.
    :param source: ``"webhooks"``, or ``"polling"`` to derive the events from PihuPulse's lists where no webhook can
        come in.
    :param poll_interval: seconds or timedelta between two readings of the lists; triggers that share the store share
        them.
    :param include_personal: whether the payload also has ``data``, all that PihuPulse sent. Airflow stores it.
    :param allow_unknown_event: whether ``events`` may name some that the API reference does not.
    :param pihupulse_conn_id: the connection.
    """

    def __init__(
        self,
        *,
        events: Iterable[str] = (),
        consumer: str | None = None,
        start: Start = "earliest",
        source: EventSource = "webhooks",
        poll_interval: timedelta | float = 60.0,
        include_personal: bool = False,
        allow_unknown_event: bool = False,
        pihupulse_conn_id: str = DEFAULT_CONN_ID,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.events = sorted(set(check_events("events", events, allow_unknown=allow_unknown_event)))
        check_reading(source, start)
        self.consumer = consumer or f"assets:{','.join(self.events) or 'all'}"
        check_consumer(self.consumer)
        self.start: Start = start
        self.source: EventSource = source
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.include_personal = include_personal
        self.allow_unknown_event = allow_unknown_event
        self.pihupulse_conn_id = pihupulse_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes the trigger anew from."""
        names = ["events", "consumer", "start", "source", "poll_interval", "include_personal", "pihupulse_conn_id"]
        if self.allow_unknown_event:  # a triggerer of version 1.0.0 does not know it
            names.append("allow_unknown_event")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the events, where Airflow has no shared streams (before 3.3)."""
        stream = EventStream(self)
        handed_on: deque[tuple[float, int, int]] = deque()
        async with aclosing(stream.entries()) as entries:
            async for entry in entries:
                if entry is not None:
                    yield self._event(entry)
                    handed_on.append((clock.now(), entry.position, stream.reading))
                stored: tuple[int, int] | None = None
                while handed_on and handed_on[0][0] <= clock.now() - _STORED_WITHIN:
                    stored = handed_on.popleft()[1:]
                if stored is not None:
                    await stream.commit(*stored)

    def shared_stream_key(self) -> Hashable:
        """Return what triggers that share a cursor have in common (Airflow 3.3)."""
        read = (self.consumer, tuple(self.events), self.start, self.source, self.poll_interval)
        return ("pihupulse", self.pihupulse_conn_id, *read)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Return the stream, whose cursor moves as Airflow stores the asset events (Airflow 3.3)."""
        from airflow.triggers.shared_stream import SharedStreamProducer

        class Producer(EventStream, SharedStreamProducer):
            """The stream, as Airflow takes it."""

        return Producer(cls(**kwargs))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[InboxEvent]) -> AsyncIterator[TriggerEvent]:
        """Yield the events of the shared stream (Airflow 3.3)."""
        async for entry in shared_stream:
            yield self._event(entry)

    def _event(self, entry: InboxEvent) -> TriggerEvent:
        payload = entry.document() if self.include_personal else entry.public()
        return TriggerEvent(payload)  # type: ignore[no-untyped-call]
