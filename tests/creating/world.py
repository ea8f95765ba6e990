"""A PihuPulse and the time in it: nothing here sleeps or reads a real clock."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from itertools import count

import httpx

from pihupulse_provider.api import Account, AsyncClient, Client, MemoryRateLimit, NewCandidate, NewScreening
from pihupulse_provider.api.retry import RetryPolicy
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import Ledger

START = 1_700_000_000.0
ALEX = NewCandidate(name="Alex Johnson", email="Alex.Johnson@example.com")


class World:
    """One account of the local PihuPulse, with clients and a ledger that live by its clock.

    :ivar change: what changes a list before each response; it gets a source of chance.
    :ivar between: makes a transport that stands before the service's.
    :ivar wall_apart: how far the store's clock is from the true time. ``apart``: the same of this process's.
    """

    def __init__(self, store_url, **options):
        self.sandbox = Sandbox(**{"clock": lambda: START, **options})
        self.account = Account(self.sandbox.api_key, self.sandbox.base_url)
        self.change = None
        self.between = lambda transport: transport
        self.wall_apart = self.apart = 0.0
        self.limit = MemoryRateLimit(clock=self.now)
        self.store_url = store_url
        self._numbers = count()
        self.client = Client(
            self.account,
            limit=self.limit,
            retry=RetryPolicy(random=lambda: 1.0),
            transport=self.sandbox.transport(),
            sleep=self.sandbox.advance,
        )

    def now(self):
        return self.sandbox.service.clock.now() + self.apart

    def wall_clock(self):
        return self.sandbox.service.clock.now() + self.wall_apart

    def next_process(self, apart):
        """Go on in a new process, whose clock is wrong."""
        self.apart = apart
        self.limit = MemoryRateLimit(clock=self.now)

    async def sleep(self, seconds):
        self.sandbox.advance(seconds)

    def connect(self):
        return AsyncClient(
            self.account,
            limit=self.limit,
            retry=RetryPolicy(random=lambda: 1.0),
            transport=Shifting(self, self.change) if self.change else self.between(self.sandbox.transport()),
            sleep=self.sleep,
            now=self.now,
        )

    def ledger(self, store_url=None):
        return Ledger(Store(store_url or self.store_url, self.wall_clock), self.account, clock=self.now)

    def new_ledger(self):
        """Return a ledger that knows nothing yet."""
        return self.ledger(self.store_url.replace("store.db", f"new-{next(self._numbers)}.db"))

    def moment(self):
        return datetime.fromtimestamp(self.now(), UTC)

    def new_screening(self, candidate_id, template_id="t54321"):
        return NewScreening(
            candidate_id=candidate_id, template_id=template_id, job_title="Engineer", send_invitation=True
        )

    def count(self, operation):
        return self.sandbox.count(operation)


class Shifting(httpx.AsyncBaseTransport):
    """Answers in a random order, and changes the list before each answer.

    :param hidden: what the list does not tell of itself.
    """

    def __init__(self, world, change, seed=1, hidden=()):
        self._hidden = hidden
        self._inner = world.sandbox.transport()
        self._change = change
        self._random = random.Random(seed)

    async def handle_async_request(self, request):
        for _ in range(self._random.randrange(40)):
            await asyncio.sleep(0)
        self._change(self._random)
        response = await self._inner.handle_async_request(request)
        return _without(response, self._hidden) if self._hidden else response


def _without(response, hidden):
    document = json.loads(response.content)
    meta = {name: value for name, value in document.get("meta", {}).items() if name not in hidden}
    headers = {"Date": response.headers["Date"]}
    return httpx.Response(response.status_code, headers=headers, json={**document, "meta": meta})
