"""A whole list is read exactly once although it shifts meanwhile."""

from __future__ import annotations

import httpx
import pytest

from pihupulse_provider.api import Account, AsyncClient, IncompleteReadError, MemoryRateLimit, Plan
from pihupulse_provider.api.endpoints import list_candidates
from pihupulse_provider.exporting.list_reader import ListReader
from tests.creating.world import Shifting, World


async def read(world, change=lambda chance: None, seed=1, hidden=()):
    transport = Shifting(world, change, seed, hidden)
    account = Account(world.sandbox.api_key, world.sandbox.base_url)
    limit = MemoryRateLimit(clock=world.now)
    async with AsyncClient(account, limit=limit, transport=transport, sleep=world.sleep) as client:
        reader = ListReader(client, lambda page, limit: list_candidates(page, limit, "all"))
        return [row.id async for rows in reader.rows() for row in rows]


def ids(world):
    return set(world.sandbox.account.candidates)


def vanish(world, chance, share):
    if chance.random() < share:
        candidates = world.sandbox.account.candidates
        world.sandbox.delete(chance.choice(list(candidates)))


@pytest.fixture(params=["oldest-first", "newest-first"])
def world(request):
    return World("sqlite://", order=request.param, candidates=3050)


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 1700])
async def test_a_list_at_rest_takes_its_pages_and_those_at_its_ends(count):
    world = World("sqlite://", candidates=count)
    found = await read(world)
    assert sorted(found) == sorted(ids(world))
    pages = max(1, -(-count // 100))
    assert world.count(None) == pages + (3 if pages > 1 else 0)


@pytest.mark.parametrize("seed", range(5))
async def test_rows_that_appear_at_each_page(world, seed):
    there = ids(world)
    found = await read(world, lambda chance: world.sandbox.insert_candidates(1), seed)
    assert len(found) == len(set(found))
    assert there <= set(found)


@pytest.mark.parametrize("seed", range(5))
async def test_rows_that_vanish(world, seed):
    there = ids(world)
    found = await read(world, lambda chance: vanish(world, chance, 0.7), seed)
    assert len(found) == len(set(found))
    assert ids(world) & there <= set(found)


@pytest.mark.parametrize("share", [0.1, 0.7])
async def test_rows_that_vanish_from_a_list_that_does_not_tell_its_length(world, share):
    there = ids(world)
    found = await read(world, lambda chance: vanish(world, chance, share), hidden=["total_count"])
    assert len(found) == len(set(found))
    assert ids(world) & there <= set(found)


@pytest.mark.parametrize("seed", range(10))
async def test_rows_that_appear_while_others_vanish(world, seed):
    there = ids(world)

    def change(chance):
        world.sandbox.insert_candidates(chance.randrange(3))
        vanish(world, chance, 0.8)

    found = await read(world, change, seed)
    assert len(found) == len(set(found))
    assert ids(world) & there <= set(found)


@pytest.mark.parametrize("seed", range(10))
async def test_rows_that_appear_as_others_vanish_so_that_the_length_stays(world, seed):
    there = ids(world)

    def change(chance):
        world.sandbox.insert_candidates(1)
        vanish(world, chance, 1.0)

    found = await read(world, change, seed)
    assert len(found) == len(set(found))
    assert ids(world) & there <= set(found)


async def test_a_list_that_is_emptied_meanwhile_ends_well(world):
    def change(chance):
        for identifier in list(world.sandbox.account.candidates)[:200]:
            world.sandbox.delete(identifier)

    found = await read(world, change)
    assert len(found) == len(set(found))


async def test_a_service_that_gives_smaller_pages_than_asked_is_believed():
    rows = [{"id": f"c{n}", "email": f"{n}@example.com"} for n in range(95)]

    def answer(request):
        page = int(request.url.params["page"])
        meta = {"current_page": page, "total_pages": 5, "total_count": 95, "per_page": 20}
        return httpx.Response(200, json={"data": rows[(page - 1) * 20 : page * 20], "meta": meta})

    async with AsyncClient(Account("key"), transport=httpx.MockTransport(answer)) as client:
        reader = ListReader(client, list_candidates)
        found = [row.id async for rows in reader.rows() for row in rows]
    assert sorted(found) == sorted(row["id"] for row in rows)


async def test_a_list_that_never_gives_what_it_counts_is_an_error():
    def answer(request):
        meta = {"current_page": 1, "total_pages": 1, "total_count": 5, "per_page": 100}
        return httpx.Response(200, json={"data": [{"id": "c1"}], "meta": meta})

    async with AsyncClient(Account("key"), transport=httpx.MockTransport(answer)) as client:
        reader = ListReader(client, list_candidates)
        with pytest.raises(IncompleteReadError, match="GET /candidates"):
            [rows async for rows in reader.rows()]


@pytest.mark.parametrize("cycle", [1, 3])
async def test_a_list_whose_pages_come_again_for_ever_is_an_error(cycle):
    sent = []

    def answer(request):
        page = int(request.url.params["page"])
        sent.append(page)
        meta = {"current_page": page, "total_pages": 10**9, "per_page": 100}
        return httpx.Response(200, json={"data": [{"id": f"c{page % cycle}"}], "meta": meta})

    async with AsyncClient(
        Account("key"), limit=MemoryRateLimit(Plan(1e6, 1e6)), transport=httpx.MockTransport(answer)
    ) as client:
        with pytest.raises(IncompleteReadError, match="again and again"):
            [rows async for rows in ListReader(client, list_candidates).rows()]
    assert len(sent) < 60
