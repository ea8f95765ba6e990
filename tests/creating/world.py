"""A PihuPulse and the time in it: nothing here sleeps or reads a real clock."""

from __future__ import annotations

from datetime import UTC, datetime

from pihupulse_provider.api import Account, AsyncClient, Client, MemoryRateLimit, NewCandidate, NewScreening
from pihupulse_provider.api.retry import RetryPolicy
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import Ledger

START = 1_700_000_000.0
ALEX = NewCandidate(name="Alex Johnson", email="Alex.Johnson@example.com")


class World:
    """One account of the local PihuPulse, with clients and a ledger that live by its clock."""

    def __init__(self, store_url, **options):
        self.sandbox = Sandbox(clock=lambda: START, **options)
        self.account = Account(self.sandbox.api_key, self.sandbox.base_url)
        self.limit = MemoryRateLimit(clock=self.now)
        self.store_url = store_url
        self.client = Client(
            self.account,
            limit=self.limit,
            retry=RetryPolicy(random=lambda: 1.0),
            transport=self.sandbox.transport(),
            sleep=self.sandbox.advance,
        )

    def now(self):
        return self.sandbox.service.clock.now()

    async def sleep(self, seconds):
        self.sandbox.advance(seconds)

    def connect(self):
        return AsyncClient(
            self.account,
            limit=self.limit,
            retry=RetryPolicy(random=lambda: 1.0),
            transport=self.sandbox.transport(),
            sleep=self.sleep,
        )

    def ledger(self, store_url=None):
        return Ledger(Store(store_url or self.store_url, self.now), self.account, clock=self.now)

    def moment(self):
        return datetime.fromtimestamp(self.now(), UTC)

    def new_screening(self, candidate_id, template_id="t54321"):
        return NewScreening(
            candidate_id=candidate_id, template_id=template_id, job_title="Engineer", send_invitation=True
        )

    def count(self, operation):
        return self.sandbox.count(operation)
