"""A look-up for what was created lately misses nobody, although the list shifts while it is read."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from pihupulse_provider.api import Account, AsyncClient
from pihupulse_provider.creating.lookup import find_candidate, find_candidates
from tests.creating.world import Shifting, World

HOUR = 3600.0


@pytest.fixture(params=["oldest-first", "newest-first"])
def world(request):
    """A list of 900 candidates from the last quarter of an hour, and 300 older ones."""
    world = World("sqlite://", order=request.param)
    account = world.sandbox.account
    account.insert_candidates(300, apart=60.0)
    world.sandbox.advance(HOUR)
    account.insert_candidates(900, apart=1.0)
    return world


async def recent(world, change=lambda chance: None, seed=1, hidden=()):
    transport = Shifting(world, change, seed, hidden)
    async with AsyncClient(
        world.account, limit=world.limit, transport=transport, sleep=world.sleep, now=world.now
    ) as client:
        since = world.now() - 1000.0
        return {one.id async for candidates in find_candidates(client, lambda: since) for one in candidates}


def ids(world):
    return [one["id"] for one in world.sandbox.candidates][300:]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("burst", [1, 30, 250])
async def test_rows_that_vanish_before_others(world, seed, burst):
    there = ids(world)
    left = list(world.sandbox.account.candidates)

    def change(chance):
        if chance.random() < 0.4:
            for _ in range(min(burst, len(left) - 400)):
                world.sandbox.delete(left.pop(chance.randrange(len(left))))

    found = await recent(world, change, seed)
    assert set(there) & set(left) <= found


@pytest.mark.parametrize("seed", range(4))
async def test_rows_that_appear_as_others_vanish(world, seed):
    there = ids(world)
    left = list(world.sandbox.account.candidates)

    def change(chance):
        world.sandbox.insert_candidates(chance.randrange(3))
        for _ in range(chance.randrange(10) if len(left) > 400 else 0):
            world.sandbox.delete(left.pop(chance.randrange(len(left))))

    found = await recent(world, change, seed)
    assert set(there) & set(left) <= found


@pytest.mark.parametrize("order", ["oldest-first", "newest-first"])
@pytest.mark.parametrize("before_request", range(1, 5))
async def test_a_row_that_vanishes_from_the_first_page_hides_none_where_all_are_new(order, before_request):
    world = World("sqlite://", order=order)
    world.sandbox.account.insert_candidates(250, apart=1.0)
    first, *others = world.sandbox.account.candidates

    def change(_chance):
        if first in world.sandbox.account.candidates and world.count(None) == before_request:
            world.sandbox.delete(first)

    assert set(others) <= await recent(world, change)


@pytest.mark.parametrize("hidden", [["total_count"], ["total_count", "per_page"], ["total_pages"]])
@pytest.mark.parametrize("burst", [0, 1, 120])
async def test_a_list_that_tells_less_of_itself(world, hidden, burst):
    there = ids(world)
    left = list(world.sandbox.account.candidates)

    def change(chance):
        for _ in range(min(burst, len(left) - 600) if world.count(None) % 5 == 4 else 0):
            world.sandbox.delete(left.pop(chance.randrange(len(left))))

    found = await recent(world, change, hidden=hidden)
    assert set(there) & set(left) <= found


@pytest.mark.parametrize(
    "moments",
    [
        [*range(1000, 850, -1), 0, *range(850, 600, -1)],
        [*range(601, 950), 0, *range(950, 1001)],
        [*range(950, 900, -1), 0, *range(1000, 950, -1), *range(601, 901)],
    ],
    ids=["behind its first page", "before its last page", "from its first page on"],
)
async def test_a_list_that_is_sorted_by_something_else(moments):
    """By when they were changed last, say: an older row is among the newest ones."""
    rows = [{"id": f"c{n}", "created_at": f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z"} for n in moments]
    pages = {"total_pages": 5, "total_count": len(rows), "per_page": 100}

    def answer(request):
        page = int(request.url.params["page"])
        start = (page - 1) * 100
        return httpx.Response(200, json={"data": rows[start : start + 100], "meta": {"current_page": page, **pages}})

    async with AsyncClient(Account("key"), transport=httpx.MockTransport(answer)) as client:
        created = {one["id"] for one in rows} - {"c0"}
        since = 1767225600.0 + 600  # 2026-01-01T00:10:00Z
        assert created <= {one.id async for found in find_candidates(client, lambda: since) for one in found}


async def test_what_was_created_just_now_is_on_the_newest_page(world):
    since = world.now()
    world.sandbox.advance(60)
    [new] = world.sandbox.insert_candidates(1)
    async with AsyncClient(
        world.account, limit=world.limit, transport=world.sandbox.transport(), sleep=world.sleep, now=world.now
    ) as client:
        assert new in {one.id async for found in find_candidates(client, lambda: since) for one in found}
    assert world.count(None) <= 3


@pytest.mark.parametrize("order", ["oldest-first", "newest-first"])
@pytest.mark.parametrize("before", [0, 99, 100, 200])
async def test_what_was_created_just_now_is_found_however_short_the_list_is(order, before):
    world = World("sqlite://", order=order)
    world.sandbox.account.insert_candidates(before, apart=1.0)
    since = world.now()
    world.sandbox.advance(60)
    [new] = world.sandbox.insert_candidates(1)
    async with world.connect() as client:
        assert new in {one.id async for found in find_candidates(client, lambda: since) for one in found}


@pytest.mark.parametrize("order", ["oldest-first", "newest-first"])
async def test_what_is_dated_some_seconds_before_it_was_sent_is_found(order):
    """The service's time is known in whole seconds."""
    world = World("sqlite://", order=order)
    world.sandbox.account.insert_candidates(300, apart=0.1)
    since = world.now() - 6
    async with world.connect() as client:
        found = {one.id async for found in find_candidates(client, lambda: since) for one in found}
    assert {one["id"] for one in world.sandbox.candidates[-109:]} <= found


async def test_nothing_is_on_its_way_once_a_candidate_is_found(world):
    """A connection that is made after the client was closed stays open."""
    under_way, ends = set(), []

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            under_way.add(request)
            try:
                page = int(request.url.params["page"])
                await asyncio.sleep({1: 0, 2: 0.01}.get(page, 3600))
                return await world.sandbox.transport().handle_async_request(request)
            finally:
                under_way.discard(request)

        async def aclose(self):
            ends.append(len(under_way))

    world.between = lambda _transport: Slow()
    shown = world.sandbox.candidates
    wanted = shown[150 if world.sandbox.settings.order == "oldest-first" else -150]["email"]
    await asyncio.wait_for(find_candidate(world.connect(), wanted), 5)
    assert ends == [0]
