"""A poller that gets updates, such as webhooks."""

from __future__ import annotations

import asyncio

from pihupulse_provider.waiting.wait_state import ScreeningSnapshot
from tests.virtual_time import in_virtual_time, now
from tests.waiting.world import World, single


class Updates:
    """Updates that the test makes up."""

    def __init__(self):
        self.fresh = []

    async def __call__(self):
        while True:
            fresh, self.fresh = self.fresh, []
            yield fresh
            await asyncio.sleep(0.2)


def test_updates_end_a_wait_within_two_seconds_and_polling_goes_on_slowly():
    async def main():
        updates = Updates()
        world = World(3, updates=updates)
        async with world.waits(*single(world.ids), interval=60) as tasks:
            await asyncio.sleep(30)
            sent_at = now()
            updates.fresh.append(ScreeningSnapshot(world.ids[0], "c1", "completed", 90))
            _, at = await tasks[0]
            assert at - sent_at <= 2
            await asyncio.sleep(600)
            assert world.sandbox.count() <= 4
            world.sandbox.complete(world.ids[1])
            sent_at = now()
            _, at = await tasks[1]
            assert at - sent_at <= 301

    in_virtual_time(main())


def test_updates_of_a_screening_that_nobody_waits_for_yet_count_when_somebody_does():
    async def main():
        updates = Updates()
        world = World(2, updates=updates)
        async with world.waits(world.ids[:1], interval=60):
            updates.fresh.append(ScreeningSnapshot(world.ids[1], "c1", "completed", 90))
            await asyncio.sleep(2)
            start = now()
            _, at = await world.wait(world.ids[1:], interval=60)
            assert at == start

    in_virtual_time(main())


def test_without_any_update_polling_goes_on_at_its_own_interval():
    """A receiver that has another store, or none at all, fills no inbox."""

    async def main():
        world = World(1, updates=Updates())
        async with world.waits(world.ids, interval=60) as (waiting,):
            await asyncio.sleep(600)
            assert world.sandbox.count() >= 9
            world.sandbox.complete(world.ids[0])
            sent_at = now()
            _, at = await waiting
            assert at - sent_at <= 61

    in_virtual_time(main())


def test_what_polling_finds_and_no_update_told_brings_back_the_interval(caplog):
    async def main():
        updates = Updates()
        world = World(3, updates=updates)
        async with world.waits(*single(world.ids), interval=60) as tasks:
            updates.fresh.append(ScreeningSnapshot(world.ids[0], "c1", "completed", 90))
            await tasks[0]
            world.sandbox.complete(world.ids[1])
            await tasks[1]
            start = now()
            await asyncio.sleep(301)
            assert world.requests_between(start, now()) >= 4

    in_virtual_time(main())
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "no webhook reported" in warning.message


def test_updates_that_cant_be_told_bring_back_the_interval():
    async def main():
        updates = Updates()
        world = World(2, updates=updates)
        async with world.waits(*single(world.ids), interval=60) as tasks:
            await asyncio.sleep(61)
            updates.fresh.append(ScreeningSnapshot(world.ids[0], "c1", "completed", 90))
            await tasks[0]
            updates.fresh = None
            await asyncio.sleep(1)
            start = now()
            await asyncio.sleep(301)
            assert world.requests_between(start, now()) >= 4

    in_virtual_time(main())


def test_updates_count_whichever_connection_of_the_account_waits_first():
    async def main():
        updates = Updates()
        world = World(2)
        async with world.waits(*single(world.ids), interval=600) as tasks:
            await asyncio.sleep(10)
            world.poller.hear("with webhooks", updates)
            await asyncio.sleep(1)
            updates.fresh.append(ScreeningSnapshot(world.ids[0], "c1", "completed", 90))
            async with asyncio.timeout(2):
                await tasks[0]

    in_virtual_time(main())


def test_a_completed_screening_that_is_waited_for_further_is_not_taken_for_unreported(caplog):
    async def main():
        updates = Updates()
        world = World(2, updates=updates)
        reviewed = {"succeeded_statuses": ("reviewed",), "interval": 60}
        async with world.waits(world.ids, **reviewed):
            await asyncio.sleep(1)
            world.sandbox.complete(world.ids[0])
            updates.fresh.append(ScreeningSnapshot(world.ids[0], "c1", "completed", 90))
            await asyncio.sleep(1500)
            assert world.sandbox.count() <= 7

    in_virtual_time(main())
    assert "no webhook reported" not in caplog.text


def test_who_begins_to_wait_again_does_not_lean_on_updates_of_an_earlier_time():
    async def never():
        await asyncio.get_running_loop().create_future()
        yield []

    async def main():
        updates = Updates()
        begun = iter([updates(), never()])
        world = World(2, updates=begun.__next__)
        async with world.waits(world.ids[:1], interval=60) as (first,):
            await asyncio.sleep(1)
            updates.fresh.append(ScreeningSnapshot(world.ids[0], "c1", "completed", 90))
            await first
        async with world.waits(world.ids[1:], interval=60):
            start = now()
            await asyncio.sleep(301)
            assert world.requests_between(start, now()) >= 4

    in_virtual_time(main())
