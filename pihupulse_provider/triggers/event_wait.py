"""The trigger that ends a task's wait for an event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from pihupulse_provider.api import clock
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.api.logs import OutageLog
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.hooks.webhooks import EventSource
from pihupulse_provider.store.activity import Activity, TaskRef
from pihupulse_provider.store.inbox import EventFilter, Inbox, InboxEvent
from pihupulse_provider.triggers.base import hand_over, loaded_hook, poll_events
from pihupulse_provider.waiting.inbox_tail import shared_tail
from pihupulse_provider.waiting.wait_board import shared_board


class EventWaitTrigger(BaseTrigger):
    """Waits for the first event that is wanted, with one read of the inbox for all that wait.

    Its one event is ``{"position": …}``, or ``{"end": "timeout"}``, or ``{"end": "error", "seconds": …}`` if PihuPulse
    refuses to be polled. At the limit, and if it starts too late, the task polls once more itself.

    :param wanted: the fields of an :class:`~pihupulse_provider.store.inbox.EventFilter`.
    :param source: where events come from.
    :param poll_interval: seconds between two readings of PihuPulse's lists when they are polled.
    :param pihupulse_conn_id: the connection.
    :param seconds: how long to wait from when the trigger starts; None for ever.
    :param until: when the wait ends, in epoch seconds, in a trigger that version 1.0.0 stored.
    """

    def __init__(
        self,
        wanted: dict[str, Any],
        source: EventSource,
        poll_interval: float,
        pihupulse_conn_id: str,
        *,
        seconds: float | None = None,
        until: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wanted = wanted
        self.source: EventSource = source
        self.poll_interval = poll_interval
        self.pihupulse_conn_id = pihupulse_conn_id
        self.seconds = seconds
        self.until = until

    @classmethod
    def for_event(cls, wanted: EventFilter, **arguments: Any) -> EventWaitTrigger:
        """Return a trigger that waits for the first event that a filter matches."""
        return cls({**asdict(wanted), "events": list(wanted.events)}, **arguments)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes the trigger anew from."""
        names = ("wanted", "source", "poll_interval", "pihupulse_conn_id", "seconds", "until")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        began_at = clock.now()
        ends_at = self.until if self.seconds is None else began_at + self.seconds
        wanted = EventFilter(**{**self.wanted, "events": tuple(self.wanted["events"])})
        hook = await loaded_hook(self.pihupulse_conn_id)
        waits: set[asyncio.Task[Any]] = {asyncio.create_task(_first(hook, wanted))}
        if self.source == "polling":
            waits.add(asyncio.create_task(self._poll(hook, wanted)))
        task = TaskRef.of(self.task_instance)

        def shown(task: TaskRef) -> Activity:
            return event_wait(task, wanted, began_at, self._next_at(began_at))

        try:
            left = None if ends_at is None else max(0.0, ends_at - clock.now())
            with shared_board(hook.store).showing(task, shown):
                done, _ = await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            await hand_over(began_at)
            yield TriggerEvent(self._result(done, ends_at))  # type: ignore[no-untyped-call]
        finally:
            for wait in waits:
                wait.cancel()

    def _next_at(self, began_at: float) -> float | None:
        if self.source == "webhooks":
            return None
        now = clock.now()
        left = self.poll_interval - (now - began_at) % self.poll_interval if self.poll_interval else 0.0
        return now + left

    def _result(self, done: set[asyncio.Task[Any]], ends_at: float | None) -> dict[str, Any]:
        for wait in done:
            if wait.exception() is None:
                entry: InboxEvent = wait.result()
                return {"position": entry.position}
            self.log.warning("PihuPulse can't be polled here, the task tries itself: %s", wait.exception())
        # A worker of version 1.0.0 reads "until", a later one "seconds", by a clock of its own.
        left = None if ends_at is None else max(0.0, ends_at - clock.now())
        return {"end": "error", "seconds": left, "until": ends_at} if done else {"end": "timeout"}

    async def _poll(self, hook: PihuPulseHook, wanted: EventFilter) -> None:
        """Poll for ever; an error that polling again would not cure ends it."""
        outage = OutageLog(self.log)
        while True:
            try:
                await poll_events(hook, wanted.events, every=self.poll_interval, since=wanted.since)
                outage.recovered("PihuPulse can be polled again.")
            except PihuPulseError as error:
                if error.permanent:
                    raise
                outage.failed("A poll of PihuPulse failed, the wait goes on: %s", error)
            await asyncio.sleep(self.poll_interval)


async def _first(hook: PihuPulseHook, wanted: EventFilter) -> InboxEvent:
    async with shared_tail(hook.store).reading(wanted) as reader:
        while not (events := await reader.read(limit=1)):
            pass
        return events[0]


def event_wait(task: TaskRef, wanted: EventFilter, began_at: float, next_at: float | None) -> Activity:
    """Return a wait for an event as it is shown."""
    subject = wanted.screening_id or wanted.candidate_id or wanted.template_id
    what = ", ".join(wanted.events) or "any event"
    return Activity(task, "wait", wanted.connection or "", what, began_at, subject=subject, total=1, next_at=next_at)


def first_event(inbox: Inbox, wanted: EventFilter) -> InboxEvent | None:
    """Return the oldest event that is wanted; None if there is none yet."""
    found = inbox.read(wanted, limit=1).events
    return found[0] if found else None
