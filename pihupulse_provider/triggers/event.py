"""The triggers on events: one that ends a task's wait, and one that makes asset events."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Hashable, Iterable
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from pihupulse_provider.api import clock
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.hooks.webhooks import EventSource
from pihupulse_provider.store.inbox import InboxEvent
from pihupulse_provider.triggers.event_stream import EventStream, Start, StreamTerms

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import SharedStreamProducer

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
    :param poll_interval: seconds between two readings of the lists; triggers that share the store share them.
    :param include_personal: whether the payload also has ``data``, all that PihuPulse sent. Airflow stores it.
    :param pihupulse_conn_id: the connection.
    """

    def __init__(
        self,
        *,
        events: Iterable[str] = (),
        consumer: str | None = None,
        start: Start = "earliest",
        source: EventSource = "webhooks",
        poll_interval: float = 60.0,
        include_personal: bool = False,
        pihupulse_conn_id: str = PihuPulseHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.events = sorted({events} if isinstance(events, str) else set(events))
        self.consumer = consumer or f"assets:{','.join(self.events) or 'all'}"
        self.start: Start = start
        self.source: EventSource = source
        self.poll_interval = poll_interval
        self.include_personal = include_personal
        self.pihupulse_conn_id = pihupulse_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes the trigger anew from."""
        names = ("events", "consumer", "start", "source", "poll_interval", "include_personal", "pihupulse_conn_id")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the events, where Airflow has no shared streams (before 3.3)."""
        stream = EventStream(self.terms)
        handed_on: deque[tuple[float, int]] = deque()
        async for entry in stream.entries():
            if entry is not None:
                yield self._event(entry)
                handed_on.append((clock.now(), entry.position))
            stored = None
            while handed_on and handed_on[0][0] <= clock.now() - _STORED_WITHIN:
                stored = handed_on.popleft()[1]
            if stored is not None:
                await stream.commit(stored)

    def shared_stream_key(self) -> Hashable:
        """Return what triggers that share a cursor have in common (Airflow 3.3)."""
        return self.terms.key()

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Return the stream, whose cursor moves as Airflow stores the asset events (Airflow 3.3)."""
        from pihupulse_provider.triggers.acknowledged import AcknowledgedStream

        return AcknowledgedStream(EventStream(cls(**kwargs).terms))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[InboxEvent]) -> AsyncIterator[TriggerEvent]:
        """Yield the events of the shared stream (Airflow 3.3)."""
        async for entry in shared_stream:
            yield self._event(entry)

    def _event(self, entry: InboxEvent) -> TriggerEvent:
        payload = entry.document() if self.include_personal else entry.public()
        return TriggerEvent(payload)  # type: ignore[no-untyped-call]

    @property
    def terms(self) -> StreamTerms:
        """Return what is read for it."""
        return StreamTerms(
            self.pihupulse_conn_id, self.consumer, tuple(self.events), self.start, self.source, self.poll_interval
        )
