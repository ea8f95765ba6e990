"""Airflow 3.3 tells when it has stored an asset event; only then the cursor moves."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

import pytest

from pihupulse_provider.triggers.event import PihuPulseEventTrigger
from tests.webhooks.inboxes import cursor_of, receive


async def stream(consumer, number):
    trigger = PihuPulseEventTrigger(consumer=consumer)
    producer = PihuPulseEventTrigger.create_shared_stream_producer(trigger.serialize()[1])
    entries = producer.open_stream()
    async with asyncio.timeout(5):
        return producer, [await anext(entries) for _ in range(number)]


if find_spec("airflow.triggers.shared_stream"):
    from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome

    def item(entry, acked=1, failed=0):
        return AdvanceItem(entry[1], AdvanceOutcome(acked=acked, failed=failed))

    async def test_the_cursor_moves_when_events_are_stored(consumer):
        receive(f"s1-{consumer}")
        receive(f"s2-{consumer}")
        producer, entries = await stream(consumer, 2)
        before = cursor_of(consumer).position()
        await producer.advance([item(entries[0])])
        assert before < cursor_of(consumer).position() == entries[0][0].position
        await producer.advance([item(entries[1])])
        assert cursor_of(consumer).position() == entries[1][0].position

    async def test_an_event_that_was_not_stored_comes_again(consumer):
        receive(f"s1-{consumer}")
        producer, entries = await stream(consumer, 1)
        with pytest.raises(Exception, match="was not stored"):
            await producer.advance([item(entries[0], acked=0, failed=1)])
        _, again = await stream(consumer, 1)
        assert again[0][0] == entries[0][0]

    async def test_those_stored_before_it_do_not(consumer):
        receive(f"s1-{consumer}")
        receive(f"s2-{consumer}")
        producer, (first, second) = await stream(consumer, 2)
        with pytest.raises(Exception, match="was not stored"):
            await producer.advance([item(first), item(second, acked=0, failed=1)])
        _, again = await stream(consumer, 1)
        assert again[0][0] == second[0]

    async def test_what_was_read_before_a_replay_does_not_move_the_cursor(consumer):
        """Else a triggerer that is killed during the replay would skip what is left of it."""
        receive(f"s1-{consumer}")
        receive(f"s2-{consumer}")
        producer = PihuPulseEventTrigger.create_shared_stream_producer(
            PihuPulseEventTrigger(consumer=consumer).serialize()[1]
        )
        entries = producer.open_stream()
        async with asyncio.timeout(5):
            first, second = await anext(entries), await anext(entries)
            await producer.advance([item(first)])
            begin = first[0].position - 1
            cursor_of(consumer).seek(begin)
            again = await anext(entries)
        assert again[0] == first[0]
        await producer.advance([item(second)])
        assert cursor_of(consumer).position() == begin
        await producer.advance([item(again)])
        assert cursor_of(consumer).position() == first[0].position
