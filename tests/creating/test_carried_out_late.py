"""A request may be carried out long after its response was given up: it is waited for, and not sent again."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from pihupulse_provider.creating.once import create_candidate_once
from pihupulse_provider.creating.options import CreateOptions
from tests.creating.importing import (
    NO_STORE,
    Import,
    KilledError,
    assert_each_once,
    bring_back,
    emails,
    people,
    run,
    take_away,
)
from tests.creating.world import ALEX, World


@pytest.fixture
def world(store_url):
    return World(store_url, candidates=20, start_seconds=1e9)


class Late(httpx.AsyncBaseTransport):
    """Holds the first request to create something, and brings it to the service so many seconds later.

    :param response: what the client is told at once; None: the connection is closed.
    :param before: how many such requests go before it.
    """

    def __init__(self, world, seconds, response=None, before=0):
        self._world, self._inner = world, world.sandbox.transport()
        self._seconds, self._response, self._before = seconds, response, before
        self._held = None
        self._due_at = None

    async def bring_what_is_due(self):
        if self._held is not None and self._world.now() >= self._due_at:
            held, self._held = self._held, None
            await self._inner.handle_async_request(held)

    async def handle_async_request(self, request):
        await self.bring_what_is_due()
        if request.method == "POST" and self._before:
            self._before -= 1
        elif request.method == "POST" and self._due_at is None:
            self._held, self._due_at = request, self._world.now() + self._seconds
            if self._response is None:
                raise httpx.ReadError("Connection reset by peer", request=request)
            return self._response
        return await self._inner.handle_async_request(request)


def create(world, late, *, first_try=True, sleep=None, store_url=None):
    world.between = lambda _transport: late
    options = CreateOptions("dag/run/task/-1", first_try, on_existing="create")
    return create_candidate_once(world.connect, world.ledger(store_url), options, ALEX, sleep=sleep or world.sleep)


async def die(_seconds):
    raise KeyboardInterrupt


def alexes(world, late):
    """Return the ids of all that were created, once the last request was carried out."""
    world.sandbox.advance(60)
    asyncio.run(late.bring_what_is_due())
    return [one["id"] for one in world.sandbox.candidates if one["email"] == ALEX.email]


@pytest.mark.parametrize(
    "response",
    [None, *(httpx.Response(status, text="<h1>Try again later</h1>") for status in (408, 502, 503, 504))],
    ids=lambda response: str(response and response.status_code),
)
def test_one_that_a_proxy_or_nobody_responded_to(world, response):
    """Only the service itself can say that it is done with a request."""
    late = Late(world, 44.0, response)
    made = create(world, late)
    assert alexes(world, late) == [made.id]


def test_one_of_a_try_that_was_killed_just_as_it_had_sent_it(world):
    """It had the job for up to two seconds more than its successor could know, and sent it at their end."""
    late = Late(world, 47.0)
    with pytest.raises(KeyboardInterrupt):
        create(world, late, sleep=die)
    made = create(world, late, first_try=False)
    assert alexes(world, late) == [made.id]


def test_one_of_two_that_say_the_same(world):
    """What is found may be either's: then it is the one's that can't be carried out any more."""
    late = Late(world, 40.0, httpx.Response(502, text="<h1>Try again later</h1>"))
    world.between = lambda _transport: late
    world.sandbox.fail("error", method="POST", times=1, after_commit=True)
    run(world, people(1) * 2, on_repeated="create")
    world.sandbox.advance(60)
    asyncio.run(late.bring_what_is_due())
    assert emails(world).total() == 2


@pytest.mark.parametrize("is_still_away", [True, False])
def test_one_of_a_try_that_was_killed_while_the_store_was_away(world, store_url, is_still_away):
    """A retry learns nothing of it from its store."""
    late = Late(world, 44.0)
    with pytest.raises(KeyboardInterrupt):
        create(world, late, sleep=die, store_url=NO_STORE)
    made = create(world, late, first_try=False, store_url=NO_STORE if is_still_away else store_url)
    assert alexes(world, late) == [made.id]


@pytest.mark.parametrize("on_existing", ["create", "skip"])
def test_one_of_a_try_that_was_killed_after_the_store_had_gone(world, tmp_path, on_existing):
    """The list shows others that the store does not know of."""
    late = Late(world, 44.0, before=60)

    class Outage(Import):
        def count(self, name, by):
            super().count(name, by)
            if self.metrics["created"] == 20:
                take_away(tmp_path / "store.db", tmp_path / "away")

    world.between = lambda _transport: late
    with pytest.raises(KilledError):
        Outage(world, people(100), kill_after=80, on_existing=on_existing).run()
    bring_back(tmp_path / "store.db", tmp_path / "away")
    run(world, people(100), first_try=False, on_existing=on_existing)
    world.sandbox.advance(60)
    asyncio.run(late.bring_what_is_due())
    assert_each_once(world, 100)


def test_a_retry_waits_no_longer_than_for_the_store(world, tmp_path):
    """Once that is back, it says what may have been sent."""
    store = tmp_path / "later"
    store.mkdir()
    store_url = f"sqlite:///{store}"
    begun_at = world.now()

    async def bring_back(seconds):
        await world.sleep(seconds)
        if store.is_dir():
            store.rmdir()
            (tmp_path / "store.db").rename(store)

    world.ledger().open("dag/run/task/-1")
    create(world, world.sandbox.transport(), first_try=False, store_url=store_url, sleep=bring_back)
    assert world.now() - begun_at < 10
