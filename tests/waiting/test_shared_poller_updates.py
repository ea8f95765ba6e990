"""A poller that gets news, such as webhooks."""

from __future__ import annotations

import asyncio

from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot
from tests.waiting.virtual_time import in_virtual_time, now
from tests.waiting.world import World, single


class Feed:
    """News that the test makes up."""

    def __init__(self):
        self.news = []
        self.broken = False

    async def read(self):
        if self.broken:
            raise StoreError("The store is away")
        news, self.news = self.news, []
        return news


def test_news_end_a_wait_within_two_seconds_and_polling_goes_on_slowly():
    async def main():
        feed = Feed()
        world = World(3, feed=feed)
        async with world.waits(*single(world.ids), interval=60) as tasks:
            await asyncio.sleep(30)
            told = now()
            feed.news.append(ScreeningSnapshot(world.ids[0], "c1", "completed", 90))
            _, at = await tasks[0]
            assert at - told <= 2
            await asyncio.sleep(600)
            assert world.sandbox.count() <= 4
            world.sandbox.complete(world.ids[1])
            told = now()
            _, at = await tasks[1]
            assert at - told <= 301

    in_virtual_time(main())


def test_news_of_a_screening_that_nobody_waits_for_yet_count_when_somebody_does():
    async def main():
        feed = Feed()
        world = World(2, feed=feed)
        async with world.waits(world.ids[:1], interval=60):
            feed.news.append(ScreeningSnapshot(world.ids[1], "c1", "completed", 90))
            await asyncio.sleep(2)
            start = now()
            _, at = await world.wait(world.ids[1:], interval=60)
            assert at == start

    in_virtual_time(main())


def test_a_feed_that_breaks_does_not_break_the_polling():
    async def main():
        feed = Feed()
        feed.broken = True
        world = World(1, feed=feed)
        async with world.waits(world.ids, interval=10) as tasks:
            await asyncio.sleep(5)
            world.sandbox.complete(world.ids[0])
            await tasks[0]

    in_virtual_time(main())
