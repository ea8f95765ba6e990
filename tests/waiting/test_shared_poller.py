"""One poller for all waits of an account: what it costs, and how soon it tells."""

from __future__ import annotations

import asyncio

from pihupulse_provider.waiting.shared_poller import shared_poller
from tests.virtual_time import in_virtual_time, now
from tests.waiting.world import World, single


def test_a_thousand_waits_take_ten_requests_a_round():
    async def main():
        world = World(1000)
        async with world.waits(*single(world.ids), interval=60):
            await asyncio.sleep(301)
            assert world.sandbox.count("GET /screenings") == 5 * 10
            assert world.sandbox.count() == world.sandbox.count("GET /screenings")

    in_virtual_time(main())


def test_ten_thousand_screenings_of_one_wait_take_a_hundred_requests_a_round():
    async def main():
        world = World(10_000)
        async with world.waits(world.ids, interval=60):
            await asyncio.sleep(181)
            assert world.sandbox.count() <= 101 + 2 * 100

    in_virtual_time(main())


def test_waits_that_begin_one_after_the_other_are_soon_looked_at_together():
    async def main():
        world = World(300)
        tasks = []
        for one in world.ids:
            tasks.append(asyncio.create_task(world.wait([one], interval=60)))
            await asyncio.sleep(0.2)
        await asyncio.sleep(60)
        start = now()
        await asyncio.sleep(600)
        assert world.requests_between(start, now()) <= 10 * 3
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    in_virtual_time(main())


def test_each_is_told_within_an_interval_and_a_second():
    async def main():
        world = World(200)
        completed = {}
        async with world.waits(*single(world.ids), interval=30) as tasks:
            for one in world.ids:
                await asyncio.sleep(0.7)
                world.sandbox.complete(one, 80)
                completed[one] = now()
            for one, (waiting, told_at) in zip(world.ids, await asyncio.gather(*tasks), strict=True):
                assert told_at - completed[one] <= 31
                assert next(iter(waiting.state)).score == 80

    in_virtual_time(main())


def test_a_wait_with_a_short_interval_does_not_make_the_others_cost_more():
    async def main():
        world = World(1000)
        async with world.waits(*single(world.ids[:-1]), interval=600), world.waits(world.ids[-1:], interval=5):
            await asyncio.sleep(300)
            start = now()
            await asyncio.sleep(100)
            assert world.requests_between(start, now()) <= 21

    in_virtual_time(main())


def test_a_wait_that_was_polled_just_now_is_polled_after_its_interval_and_an_old_one_at_once():
    async def main():
        world = World(1)
        state = world.state(world.ids, interval=60)
        with world.poller.subscribe(state, world.client):
            await asyncio.sleep(59)
            assert world.sandbox.count() == 0
            await asyncio.sleep(2)
            assert world.sandbox.count() == 1
        await asyncio.sleep(600)
        with world.poller.subscribe(state, world.client):
            await asyncio.sleep(1)
            assert world.sandbox.count() == 2

    in_virtual_time(main())


def test_it_stops_when_nobody_waits_and_starts_again():
    async def main():
        world = World(2)
        async with world.waits(world.ids[:1], interval=1):
            await asyncio.sleep(10)
        count = world.sandbox.count()
        await asyncio.sleep(100)
        assert world.sandbox.count() == count
        world.sandbox.complete(world.ids[1])
        await world.wait(world.ids[1:], interval=1)

    in_virtual_time(main())


def test_waiting_takes_at_most_half_of_the_sustained_rate():
    """Two thousand screenings on 100 requests a minute: a round of 20 takes 24 seconds, whatever interval is asked."""

    async def main():
        world = World(600, plan="starter")
        async with world.waits(world.ids, interval=1):
            await asyncio.sleep(60)
            start = now()
            await asyncio.sleep(600)
            assert 450 <= world.requests_between(start, now()) <= 520
            assert world.sandbox.count(status=429) == 0

    in_virtual_time(main())


def test_an_import_keeps_half_of_the_rate_while_hundreds_wait():
    async def main():
        world = World(600, plan="starter")
        sent = 0

        async def work():
            nonlocal sent
            async with await world.client() as client:
                while True:
                    await client.list_candidates()
                    sent += 1

        async with world.waits(*single(world.ids), interval=1):
            workers = [asyncio.create_task(work()) for _ in range(4)]
            await asyncio.sleep(120)
            before = sent
            await asyncio.sleep(600)
            assert sent - before >= 490
            assert world.sandbox.count(status=429) == 0
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    in_virtual_time(main())


def test_an_account_has_one_poller_in_an_event_loop():
    async def main():
        return shared_poller("a") is shared_poller("a"), shared_poller("a") is shared_poller("b"), shared_poller("a")

    same, other, first = asyncio.run(main())
    assert (same, other) == (True, False)
    assert asyncio.run(main())[2] is not first
