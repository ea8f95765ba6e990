"""The trigger that ends a task's wait for an event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.hooks.webhooks import EventSource, poller
from pihupulse_provider.store.inbox import EventFilter, InboxEvent
from pihupulse_provider.triggers.accounts import loaded_hook
from pihupulse_provider.triggers.handover import hand_over
from pihupulse_provider.waiting.event import shared_tail


class EventWaitTrigger(BaseTrigger):
    """Waits for the first event that is wanted, with one look at the inbox for all that wait.

    Its one event is ``{"position": …}``, or ``{"end": "timeout"}``, or ``{"end": "error", "until": …}`` if PihuPulse
    refuses to be polled.

    :param wanted: the fields of an :class:`~pihupulse_provider.store.inbox.EventFilter`.
    :param until: when the wait ends in vain, in epoch seconds; None for never.
    :param source: where events come from.
    :param poll_interval: seconds between two readings of PihuPulse's lists when they are polled.
    :param pihupulse_conn_id: the connection.
    """

    def __init__(
        self,
        wanted: dict[str, Any],
        until: float | None,
        source: EventSource,
        poll_interval: float,
        pihupulse_conn_id: str,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wanted = wanted
        self.until = until
        self.source: EventSource = source
        self.poll_interval = poll_interval
        self.pihupulse_conn_id = pihupulse_conn_id

    @classmethod
    def for_event(cls, wanted: EventFilter, **arguments: Any) -> EventWaitTrigger:
        """Return a trigger that waits for the first event that a filter matches."""
        return cls({**asdict(wanted), "events": list(wanted.events)}, **arguments)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes the trigger anew from."""
        names = ("wanted", "until", "source", "poll_interval", "pihupulse_conn_id")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        began_at = time.monotonic()
        wanted = EventFilter(**{**self.wanted, "events": tuple(self.wanted["events"])})
        hook = await loaded_hook(self.pihupulse_conn_id)
        waits: set[asyncio.Task[Any]] = {asyncio.create_task(shared_tail(hook.store).first(wanted))}
        if self.source == "polling":
            waits.add(asyncio.create_task(self._poll(hook, wanted)))
        try:
            left = None if self.until is None else max(0.0, self.until - time.time())
            done, _ = await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            await hand_over(began_at)
            yield TriggerEvent(self._told(done))  # type: ignore[no-untyped-call]
        finally:
            for wait in waits:
                wait.cancel()

    def _told(self, done: set[asyncio.Task[Any]]) -> dict[str, Any]:
        for wait in done:
            if wait.exception() is None:
                entry: InboxEvent = wait.result()
                return {"position": entry.position}
            self.log.warning("Polling PihuPulse failed, the task tries itself: %s", wait.exception())
        return {"end": "error", "until": self.until} if done else {"end": "timeout"}

    async def _poll(self, hook: PihuPulseHook, wanted: EventFilter) -> None:
        """Poll for ever; an error that looking again would not cure ends it."""
        while True:
            try:
                poll = poller(hook).poll
                await asyncio.to_thread(poll, wanted.events, every=self.poll_interval, since=wanted.since)
            except PihuPulseError as error:
                if error.permanent:
                    raise
                self.log.warning("Polling PihuPulse failed, and goes on: %s", error)
            await asyncio.sleep(self.poll_interval)
