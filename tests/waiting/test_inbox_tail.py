"""One reader of the inbox for all that listen in an event loop."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.store.engine import Store, StoreError
from pihupulse_provider.store.inbox import PAGE, Delivery, EventFilter, Inbox
from pihupulse_provider.waiting import inbox_tail
from pihupulse_provider.waiting.inbox_tail import InboxTail, completed_screenings, shared_tail


@pytest.fixture
def inbox(tmp_path):
    return Inbox(Store(f"sqlite:///{tmp_path / 'store.db'}"))


def receive(inbox, *screening_ids, event="screening.completed"):
    bodies = [json.dumps({"event": event, "data": {"screening_id": one}}).encode() for one in screening_ids]
    inbox.append([Delivery("conn", WebhookEvent.parse(body), body) for body in bodies])


async def ids(reader, number):
    found = []
    async with asyncio.timeout(5):
        while len(found) < number:
            found += [entry.event.screening_id for entry in await reader.read()]
    return found


async def test_a_reader_gets_what_was_there_and_then_what_comes(inbox):
    receive(inbox, "s1", "s2")
    async with InboxTail(inbox).reading(EventFilter()) as reader:
        assert await ids(reader, 2) == ["s1", "s2"]
        receive(inbox, "s3")
        assert await ids(reader, 1) == ["s3"]
        assert reader.position == 3


async def test_it_begins_after_the_position_it_names_and_gets_only_what_it_wants(inbox):
    receive(inbox, "s1", "s2")
    receive(inbox, "s2", event="report.generated")
    async with InboxTail(inbox).reading(EventFilter(events=("report.generated",)), after=1) as reader:
        assert [entry.position for entry in await reader.read()] == [3]


async def test_whoever_begins_ahead_of_the_tail_gets_nothing_older(inbox):
    """The tail is behind by a fifth of a second; the cursor of a consumer may stand at what came since."""
    receive(inbox, "s1")
    tail = InboxTail(inbox)
    async with tail.reading(EventFilter()) as first:
        assert await ids(first, 1) == ["s1"]
        receive(inbox, "s2", "s3")
        async with tail.reading(EventFilter(), after=2) as second:
            assert await ids(second, 1) == ["s3"]
        assert await ids(first, 2) == ["s2", "s3"]


async def test_a_store_that_is_set_back_is_read_on(inbox, monkeypatch):
    receive(inbox, "s1", "s2")
    emptied = Inbox(Store(str(inbox.store).replace("store.db", "other.db")))
    tail = InboxTail(inbox)
    async with tail.reading(EventFilter()) as reader:
        assert await ids(reader, 2) == ["s1", "s2"]
        monkeypatch.setattr(tail, "inbox", emptied)
        await asyncio.sleep(2 * inbox_tail.READ_SECONDS)
        receive(emptied, "s3")
        assert await ids(reader, 1) == ["s3"]


async def test_a_wait_hears_of_what_was_in_the_other_store_before_the_tail_noticed(inbox, monkeypatch):
    receive(inbox, "s1", "s2", "s3")
    other = Inbox(Store(str(inbox.store).replace("store.db", "other.db")))
    tail = InboxTail(inbox)
    async with tail.reading(EventFilter(screening_id="wanted")) as reader:
        assert await reader.read(0.1) == []
        receive(other, "wanted", "s4")
        monkeypatch.setattr(tail, "inbox", other)
        assert await ids(reader, 1) == ["wanted"]


async def test_a_look_that_takes_longer_than_its_reader_waits_is_not_in_vain(inbox, monkeypatch):
    receive(inbox, "s1")
    read, looks = Inbox.read, []

    def slow(self, wanted, **options):
        if wanted.screening_id:
            looks.append(wanted)
            time.sleep(0.3)
        return read(self, wanted, **options)

    monkeypatch.setattr(Inbox, "read", slow)
    async with InboxTail(inbox).reading(EventFilter(screening_id="s1")) as reader:
        assert await reader.read(0.05) == []
        found = [one for _ in range(10) for one in await reader.read(0.1)]
    assert [one.position for one in found] == [1]
    assert len(looks) == 1


async def test_a_slow_reader_loses_nothing_and_keeps_its_order(inbox):
    async with InboxTail(inbox).reading(EventFilter()) as reader:
        names = [f"s{number}" for number in range(2 * PAGE + 10)]
        receive(inbox, *names)
        await asyncio.sleep(1.5)
        assert len(reader._heard) <= PAGE
        assert await ids(reader, len(names)) == names


async def test_no_event_within_the_time_is_none(inbox):
    async with InboxTail(inbox).reading(EventFilter()) as reader:
        assert await reader.read(0.1) == []


async def test_while_the_inbox_cannot_be_read_it_goes_on_trying_and_says_so_once(inbox, monkeypatch, caplog):
    read, away = Inbox.read, []

    def sometimes(self, wanted, **options):
        if away:
            raise StoreError("away")
        return read(self, wanted, **options)

    monkeypatch.setattr(Inbox, "read", sometimes)
    async with InboxTail(inbox).reading(EventFilter()) as reader:
        away.append(True)
        receive(inbox, "s1")
        with caplog.at_level("INFO", logger=inbox_tail.__name__):
            await asyncio.sleep(1)
            away.clear()
            assert await ids(reader, 1) == ["s1"]
    levels = [record.levelname for record in caplog.records if record.name == inbox_tail.__name__]
    assert levels == ["WARNING", "INFO"]


async def test_waits_streams_and_the_poller_share_one_read(inbox, monkeypatch):
    tail, reads = InboxTail(inbox), []
    read = Inbox.read

    def counted(self, wanted, **options):
        reads.append(wanted)
        return read(self, wanted, **options)

    updates = completed_screenings(tail, "conn")
    first_update = asyncio.create_task(anext(updates))
    async with tail.reading(EventFilter()) as wait, tail.reading(EventFilter(connection="conn")) as stream:
        await asyncio.sleep(0.5)
        monkeypatch.setattr(Inbox, "read", counted)
        await asyncio.sleep(1)
        assert 1 <= len(reads) <= 1 / inbox_tail.READ_SECONDS + 1
        receive(inbox, "s1")
        assert await ids(wait, 1) == await ids(stream, 1) == ["s1"]
        assert [one.screening_id for one in await first_update] == ["s1"]
    await updates.aclose()


async def test_a_screening_that_was_completed_while_no_triggerer_was_there_is_heard_of(tmp_path):
    moments = [1000.0]
    inbox = Inbox(Store(f"sqlite:///{tmp_path / 'store.db'}", lambda: moments[-1]))
    receive(inbox, "s1")
    moments.append(1300.0)
    updates = completed_screenings(InboxTail(inbox), "conn")
    async with asyncio.timeout(5):
        assert [one.screening_id for one in await anext(updates)] == ["s1"]
    await updates.aclose()


async def test_it_stops_when_nobody_reads_and_begins_again(inbox):
    tail = InboxTail(inbox)
    for name in ("s1", "s2"):
        async with tail.reading(EventFilter(), after=inbox.head()) as reader:
            receive(inbox, name)
            assert await ids(reader, 1) == [name]
        async with asyncio.timeout(10):
            while tail._runner is not None:
                await asyncio.sleep(0.05)


def test_an_event_loop_has_one_tail_for_a_store(inbox):
    async def main():
        return shared_tail(inbox.store) is shared_tail(inbox.store), shared_tail(inbox.store)

    same, first = asyncio.run(main())
    assert same
    assert asyncio.run(main())[1] is not first
