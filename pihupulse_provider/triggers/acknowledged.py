"""A stream whose cursor moves when Airflow has stored the asset events (shared streams, Airflow 3.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from itertools import takewhile

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.store.inbox import InboxEvent
from pihupulse_provider.triggers.event import EventStream


class NotAcknowledgedError(PihuPulseError):
    """Airflow did not store an asset event in time: the stream ends, and begins again with that event."""


class AcknowledgedStream(SharedStreamProducer):
    """Hands events to Airflow, and moves the cursor past those that it has stored."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream

    async def open_stream(self) -> AsyncIterator[tuple[InboxEvent, tuple[int, int]]]:
        """Yield each event with its position and the reading that it comes from."""
        async with aclosing(self._stream.entries()) as entries:
            async for entry in entries:
                if entry is not None:
                    yield entry, (entry.position, self._stream.reading)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Move the cursor past the events that are stored."""
        clean = list(takewhile(lambda item: item.outcome.is_clean, batch))
        if clean:
            await self._stream.commit(*clean[-1].broker_payload)
        if len(clean) < len(batch):
            raise NotAcknowledgedError(
                f"The event at position {batch[len(clean)].broker_payload[0]} was not stored as asset event."
            )
