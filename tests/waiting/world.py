"""A local PihuPulse, a client and a poller, all in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from pihupulse_provider.api import Account, AsyncClient, MemoryRateLimit, RetryPolicy
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.waiting.shared_poller import SharedPoller
from pihupulse_provider.waiting.wait_spec import WaitSpec
from pihupulse_provider.waiting.wait_state import WaitState
from tests.virtual_time import now


class World:
    """Screenings that never end by themselves; options go to the sandbox."""

    def __init__(self, screenings=0, *, updates=None, **options):
        settings = {"start_seconds": 1e9, "screening_seconds": 1e9, "clock": now, **options}
        self.sandbox = Sandbox(**settings)
        self.ids = self.add(screenings)
        self.limit = MemoryRateLimit(clock=now)
        self.poller = SharedPoller(now=now)
        self.poller.hear("conn", updates)
        self.api_key = self.sandbox.api_key

    def add(self, count):
        return self.sandbox.insert_screenings(self.sandbox.insert_candidates(count))

    async def client(self, retry=None):
        account = Account(self.api_key, self.sandbox.base_url)
        retry = retry or RetryPolicy(random=lambda: 0.5)
        return AsyncClient(account, limit=self.limit, transport=self.sandbox.transport(), retry=retry)

    def state(self, ids, **options):
        return WaitState(WaitSpec(ids if isinstance(ids, dict) else dict.fromkeys(ids), now(), **options))

    async def wait(self, ids, **options):
        """Wait until that is decided or has failed; return the subscription and the time."""
        with self.poller.subscribe(self.state(ids, **options), self.client) as subscription:
            while subscription.state.judge().state == "waiting" and subscription.error is None:
                await subscription.change(None)
        return subscription, now()

    @asynccontextmanager
    async def waits(self, *groups, **options):
        """Wait for several groups of screenings at once; yield the tasks."""
        tasks = [asyncio.create_task(self.wait(ids, **options)) for ids in groups]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(1)

    def requests_between(self, start, end):
        return sum(start <= entry.at < end for entry in self.sandbox.requests)


def single(ids):
    """Return a group for each screening."""
    return [[one] for one in ids]
