"""What a poller survives, and what it says."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pihupulse_provider.api import ServerError, UnauthorizedError
from tests.virtual_time import in_virtual_time, now
from tests.waiting.world import World, single


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
            assert all(waiting.state.judge().state == "succeeded" for waiting, _ in ended)

    in_virtual_time(main())


def test_a_candidate_that_can_never_be_read_is_seen_in_the_list():
    async def main():
        world = World(150)
        broken = world.sandbox.screenings[-1]
        world.sandbox.fail("error", status=500, path=f"/candidates/{broken['candidate_id']}")
        waiting = asyncio.create_task(world.wait({broken["id"]: broken["candidate_id"]}, interval=30))
        await asyncio.sleep(45)
        world.sandbox.complete(broken["id"])
        async with asyncio.timeout(45):
            await waiting

    in_virtual_time(main())


def test_a_page_that_can_never_be_read_holds_up_nobody_else():
    async def main():
        world = World(250)
        world.sandbox.insert_screenings(world.sandbox.insert_candidates(50))
        for one in world.ids:
            world.sandbox.complete(one)
        client = world.client

        async def without_page_2():
            made = await client()
            run = made.run

            async def fails(call, **options):
                if call.params.get("page") == 2:
                    raise ServerError("No", status=500)
                return await run(call, **options)

            made.run = fails
            return made

        world.client = without_page_2
        async with world.waits(*single(world.ids), interval=30) as tasks:
            await asyncio.sleep(100)
            assert sum(task.done() for task in tasks) == 150
            assert all(not task.done() or task.result()[0].error is None for task in tasks)

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

        with world.poller.subscribe(world.state(world.ids, interval=1), broken) as waiting:
            await waiting.change(5)
            assert isinstance(waiting.error, RuntimeError)

    in_virtual_time(main())


def test_a_screening_that_is_deleted_while_it_is_waited_for_is_told_as_not_found():
    async def main():
        world = World(5)
        async with world.waits(*single(world.ids), interval=30) as tasks:
            await asyncio.sleep(70)
            world.sandbox.delete(world.ids[2])
            waiting, _ = await tasks[2]
            assert waiting.state.judge().failed == {world.ids[2]: "not_found"}
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


def lines_of_the_poller(caplog):
    return [
        record.getMessage() for record in caplog.records if record.name == "pihupulse_provider.waiting.shared_poller"
    ]


def test_it_says_what_it_does_at_a_pace_that_can_be_read(caplog):
    async def main():
        world = World(1000)
        async with world.waits(*single(world.ids), interval=50):
            await asyncio.sleep(1000)

    with caplog.at_level(logging.INFO, logger="pihupulse_provider.waiting.shared_poller"):
        in_virtual_time(main())
    lines = lines_of_the_poller(caplog)
    assert 3 <= len(lines) <= 5
    assert "1,000 screenings for 1,000 waits" in lines[-1]


def test_an_outage_is_told_once_in_a_while(caplog):
    async def main():
        world = World(1)
        world.sandbox.fail("error", status=503)
        async with world.waits(world.ids, interval=10):
            await asyncio.sleep(1000)

    with caplog.at_level(logging.WARNING, logger="pihupulse_provider.waiting.shared_poller"):
        in_virtual_time(main())
    lines = lines_of_the_poller(caplog)
    assert 3 <= len(lines) <= 5
    assert "503" in lines[0]
