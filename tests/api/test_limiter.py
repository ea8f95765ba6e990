"""One limit for all clients of an account in a process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pihupulse_provider.api import PLANS, Account, AsyncClient, Client, MemoryRateLimit, Plan
from pihupulse_provider.api.limiter import process_rate_limit
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders


async def test_clients_of_an_account_share_its_limit() -> None:
    mine, other = Account("key", "one.example"), Account("key", "two.example")
    with Client(mine) as blocking, Client(other) as foreign:
        async with AsyncClient(mine) as in_loop:
            assert blocking.limit is in_loop.limit is process_rate_limit(mine.key)
            assert foreign.limit is not blocking.limit


def test_each_plan_of_an_account_is_kept_to() -> None:
    """Whoever made a client of the account before, and whatever plan that has."""
    plan = Plan(60, 2)
    with Client(Account("planned")) as learning, Client(Account("planned", plan=plan)) as planned:
        assert learning.limit.plan == PLANS["starter"]
        assert planned.limit.plan == plan
        assert planned.limit is process_rate_limit(planned.account.key, plan)

        learning.limit.observe(learning.limit.reserve(), RateLimitHeaders(sent_at=0.0, received_at=0.0, limit=1000.0))
        assert learning.limit.plan == PLANS["enterprise"]
        assert planned.limit.plan == plan


def test_plans_of_an_account_share_its_pace_and_its_pauses() -> None:
    fast = MemoryRateLimit(Plan(600, 3), clock=lambda: 50.0)
    slow = fast.with_plan(Plan(60, 3))
    assert [limit.reserve().at for limit in (fast, slow, fast)] == pytest.approx([50.0, 50.0, 51.0])

    slot, other = slow.reserve(), fast.reserve()
    slow.observe(slot, RateLimitHeaders(sent_at=50.0, received_at=50.0, limited=True, retry_after=30.0))

    assert fast.is_void(other)
    assert fast.reserve().at >= 80.0


def test_threads_never_get_the_same_slot() -> None:
    limit = MemoryRateLimit(Plan(600, 2), clock=lambda: 0.0)

    with ThreadPoolExecutor(8) as pool:
        slots = list(pool.map(lambda _: limit.reserve(), range(400)))

    assert len({slot.used for slot in slots}) == 400
    assert max(slot.at for slot in slots) > 39.8


def test_pause_makes_older_slots_void() -> None:
    limit = MemoryRateLimit(Plan(600, 10), clock=lambda: 50.0)
    slot, other = limit.reserve(), limit.reserve()

    limit.observe(slot, RateLimitHeaders(sent_at=50.0, received_at=50.0, limited=True))

    assert limit.is_void(other)
    assert not limit.is_void(limit.reserve())
