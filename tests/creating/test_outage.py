"""An outage of half a minute costs no try, whatever it looks like, and nothing is sent twice because of it."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest

from pihupulse_provider.api import AsyncClient, NoAnswerError, NotSentError, RetryPolicy, ServerError
from pihupulse_provider.api.async_client import run_to_end
from pihupulse_provider.api.endpoints import list_candidates
from pihupulse_provider.creating.once import create_candidate_once
from pihupulse_provider.creating.options import CreateOptions
from pihupulse_provider.exporting.list_reader import ListReader
from tests.creating.importing import Import, assert_each_once, people
from tests.creating.world import ALEX, World
from tests.virtual_time import STARTS_AT, VirtualLoop

HALF_A_MINUTE = 30.0


class Loop(VirtualLoop):
    """Does in its own thread what is given to others: time would not wait for them."""

    def run_in_executor(self, executor, func, *args):
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:
            future.set_exception(error)
        return future


class Troubled(httpx.AsyncBaseTransport):
    """Brings requests to the local PihuPulse, which is in trouble at times: (from, until, fault, further options)."""

    def __init__(self, world, troubles):
        self.world, self.troubles, self.inner = world, troubles, world.sandbox.transport()

    async def handle_async_request(self, request):
        at = self.world.now() - STARTS_AT
        self.world.sandbox.heal()
        for start, end, kind, options in self.troubles:
            if start <= at < end and kind == "refused":
                raise httpx.ConnectError("[Errno 111] Connection refused", request=request)
            if start <= at < end:
                self.world.sandbox.fail(kind, **options)
        await asyncio.sleep(0.05)
        return await self.inner.handle_async_request(request)


class Outage(World):
    """A world in virtual time, in which sixteen requests wait at once."""

    def __init__(self, store_url, *troubles, **options):
        self.loop = None
        options = {"plan": "enterprise", "candidates": 350, "start_seconds": 1e9, **options}
        super().__init__(store_url, clock=self.now, **options)
        self.troubles = troubles

    def now(self):
        return self.loop.time() if self.loop else STARTS_AT

    wall_clock = now

    def new_loop(self):
        self.loop = Loop()
        return self.loop

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)

    def connect(self):
        transport = Troubled(self, self.troubles)
        return AsyncClient(self.account, limit=self.limit, retry=RetryPolicy(), transport=transport, now=self.now)


@pytest.fixture
def outage(store_url, monkeypatch):
    def begin(*troubles, **options):
        world = Outage(store_url, *troubles, **options)
        monkeypatch.setattr(asyncio, "new_event_loop", world.new_loop)
        return world

    return begin


def trouble(kind, start=0.2, seconds=HALF_A_MINUTE, **options):
    return start, start + seconds, kind, options


POSTS = {"method": "POST"}
LOST = {**POSTS, "after_commit": True}
TROUBLES = {
    "connection refused": [trouble("refused")],
    "500": [trouble("error")],
    "500, but lists can be read": [trouble("error", **POSTS)],
    "500 although it was done": [trouble("error", **LOST)],
    "503 of a proxy": [trouble("error", status=503)],
    "a page of HTML": [trouble("html")],
    "connections dropped": [trouble("drop")],
    "connections dropped after it was done": [trouble("drop", **LOST)],
    "refused, then slow, then 500": [
        trouble("refused"),
        trouble("latency", start=31.0, seconds=5.0, probability=0.1),
        trouble("error", start=60.0),
    ],
}


@pytest.mark.parametrize("name", TROUBLES)
def test_an_import_goes_on_after_it(outage, name):
    world = outage(*TROUBLES[name], candidates=0)
    assert Import(world, people(120)).run().created == 120
    assert_each_once(world, 120)


@pytest.mark.parametrize("name", TROUBLES)
def test_an_import_that_begins_in_it_creates_each_once(outage, name):
    world = outage(*((start - 0.2, *rest) for start, *rest in TROUBLES[name]))
    assert Import(world, people(20), on_existing="skip").run().created == 20
    assert_each_once(world, 20)


@pytest.mark.parametrize("name", TROUBLES)
def test_a_single_create_is_sent_once_after_it(outage, name):
    world = outage(*((start - 0.2, *rest) for start, *rest in TROUBLES[name]))
    made = create_candidate_once(
        world.connect, world.ledger(), CreateOptions("job", first_try=True, on_existing="create"), ALEX
    )
    assert Counter(one["email"] for one in world.sandbox.candidates)[ALEX.email] == 1
    assert made.email == ALEX.email


def test_an_export_goes_on_after_it(outage):
    world = outage(trouble("refused", start=0.03), candidates=2000)

    async def read():
        async with world.connect() as client:
            reader = ListReader(client, lambda page, limit: list_candidates(page, limit, "all"))
            return [one.id async for rows in reader.rows() for one in rows]

    assert len(set(run_to_end(read()))) == 2000


@pytest.mark.parametrize(
    ("kind", "error", "most"),
    [("refused", NotSentError, 75), ("error", ServerError, 75), ("drop", NoAnswerError, 200)],
)
def test_one_without_end_ends_in_an_error_within_minutes(outage, kind, error, most):
    world = outage(trouble(kind, start=0.0, seconds=1e9))
    with pytest.raises(error):
        Import(world, people(5)).run()
    assert world.now() - STARTS_AT < most
