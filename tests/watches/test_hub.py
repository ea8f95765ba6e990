"""One poller for all waits of an account: what it costs, how soon it tells, and what it survives."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pihupulse_provider.api import UnauthorizedError
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.watches.hub import shared_hub
from pihupulse_provider.watches.sighting import Sighting
from tests.watches.virtual_time import in_virtual_time, now
from tests.watches.world import World


def single(ids):
    return [[one] for one in ids]


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
                assert next(iter(waiting.watch)).score == 80

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


def test_a_wait_that_was_looked_at_just_now_is_looked_at_after_its_interval_and_an_old_one_at_once():
    async def main():
        world = World(1)
        terms = world.terms(world.ids, interval=60)
        with world.hub.waiting(terms, world.client):
            await asyncio.sleep(59)
            assert world.sandbox.count() == 0
            await asyncio.sleep(2)
            assert world.sandbox.count() == 1
        await asyncio.sleep(600)
        with world.hub.waiting(terms, world.client):
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
        world = World(2000, plan="starter")
        async with world.waits(world.ids, interval=1):
            await asyncio.sleep(60)
            start = now()
            await asyncio.sleep(600)
            assert 450 <= world.requests_between(start, now()) <= 520
            assert world.sandbox.count(status=429) == 0

    in_virtual_time(main())


def test_an_import_keeps_half_of_the_rate_while_two_thousand_wait():
    async def main():
        world = World(2000, plan="starter")
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


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "status": 503},
        {"kind": "html"},
        {"kind": "drop"},
        {"kind": "truncated"},
        {"kind": "rate_limited"},
        {"kind": "empty"},
    ],
)
def test_no_wait_ends_because_of_an_error_that_may_pass(fault):
    async def main():
        world = World(150)
        async with world.waits(*single(world.ids), interval=30) as tasks:
            await asyncio.sleep(45)
            world.sandbox.fail(**fault)
            await asyncio.sleep(600)
            world.sandbox.heal()
            for one in world.ids:
                world.sandbox.complete(one)
            ended = await asyncio.gather(*tasks)
            assert all(waiting.error is None for waiting, _ in ended)

    in_virtual_time(main())


def test_no_wait_ends_because_of_single_faults_all_the_time():
    async def main():
        world = World(1000)
        world.sandbox.fail("error", probability=0.2, status=500)
        world.sandbox.fail("drop", probability=0.2)
        async with world.waits(*single(world.ids), interval=30) as tasks:
            await asyncio.sleep(45)
            for one in world.ids:
                world.sandbox.complete(one)
            ended = await asyncio.gather(*tasks)
            assert all(waiting.watch.judge().state == "succeeded" for waiting, _ in ended)

    in_virtual_time(main())


def test_a_wrong_key_ends_every_wait_and_the_next_begins_anew():
    async def main():
        world = World(3)
        world.api_key = "wrong"
        async with world.waits(*single(world.ids), interval=1) as tasks:
            ended = await asyncio.gather(*tasks)
            assert all(isinstance(waiting.error, UnauthorizedError) for waiting, _ in ended)
        world.api_key = world.sandbox.api_key
        world.sandbox.complete(world.ids[0])
        waiting, _ = await world.wait(world.ids[:1], interval=1)
        assert waiting.error is None

    in_virtual_time(main())


def test_a_client_that_cannot_be_made_ends_the_waits_instead_of_leaving_them_for_ever():
    async def main():
        world = World(1)

        async def broken():
            raise RuntimeError("no such connection")

        with world.hub.waiting(world.terms(world.ids, interval=1), broken) as waiting:
            await waiting.news(5)
            assert isinstance(waiting.error, RuntimeError)

    in_virtual_time(main())


def test_a_screening_that_is_deleted_while_it_is_waited_for_is_told_as_not_found():
    async def main():
        world = World(5)
        async with world.waits(*single(world.ids), interval=30) as tasks:
            await asyncio.sleep(70)
            world.sandbox.delete(world.ids[2])
            waiting, _ = await tasks[2]
            assert waiting.watch.judge().failed == {world.ids[2]: "not_found"}
            assert not any(task.done() for task in tasks[:2] + tasks[3:])

    in_virtual_time(main())


def test_screenings_that_come_and_go_do_not_hide_one_that_completes():
    async def main():
        world = World(500, order="newest-first")
        async with world.waits(*single(world.ids), interval=30) as tasks:
            for turn, one in enumerate(world.ids):
                world.add(turn % 7)
                world.sandbox.delete(world.add(1)[0])
                world.sandbox.complete(one)
                await asyncio.sleep(0.5)
            ended = await asyncio.gather(*tasks)
            assert max(at for _, at in ended) <= now()
            assert now() - ended[0][1] <= 500

    in_virtual_time(main())


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
            feed.news.append(Sighting(world.ids[0], "c1", "completed", 90))
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
            feed.news.append(Sighting(world.ids[1], "c1", "completed", 90))
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


def told_by_the_hub(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "pihupulse_provider.watches.hub"]


def test_it_says_what_it_does_at_a_pace_that_can_be_read(caplog):
    async def main():
        world = World(1000)
        async with world.waits(*single(world.ids), interval=10):
            await asyncio.sleep(1000)

    with caplog.at_level(logging.INFO, logger="pihupulse_provider.watches.hub"):
        in_virtual_time(main())
    told = told_by_the_hub(caplog)
    assert 3 <= len(told) <= 5
    assert "1000 screenings for 1000 waits" in told[-1]


def test_an_outage_is_told_once_in_a_while(caplog):
    async def main():
        world = World(1)
        world.sandbox.fail("error", status=503)
        async with world.waits(world.ids, interval=10):
            await asyncio.sleep(1000)

    with caplog.at_level(logging.WARNING, logger="pihupulse_provider.watches.hub"):
        in_virtual_time(main())
    told = told_by_the_hub(caplog)
    assert 3 <= len(told) <= 5
    assert "503" in told[0]


def test_an_account_has_one_hub_in_an_event_loop():
    async def main():
        return shared_hub("a") is shared_hub("a"), shared_hub("a") is shared_hub("b"), shared_hub("a")

    same, other, first = asyncio.run(main())
    assert (same, other) == (True, False)
    assert asyncio.run(main())[2] is not first
